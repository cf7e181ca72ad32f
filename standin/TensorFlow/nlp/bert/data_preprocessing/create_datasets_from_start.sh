#!/bin/bash
# From a Wikipedia dump to TFRecords for both phases, in upstream's steps and directories.
# As upstream's script at 1.13.0, this one goes on after a failed step.
#
#   PYTHON=python3 bash create_datasets_from_start.sh [wiki_only] [WORKING_DIR]

to_download=${1:-"wiki_only"}

data_dir=$(pwd)
BERT_PREP_WORKING_DIR=${2:-"/data/tensorflow/bert/books_wiki_en_corpus"}
export BERT_PREP_WORKING_DIR="${BERT_PREP_WORKING_DIR}"

if [ "$to_download" != "wiki_only" ] ; then
    echo "The stand-in only knows wiki_only, not ${to_download}" >&2
    exit 2
fi

DATASET="wikicorpus_en"
# The stand-in does not download it: put it there before.
VOCAB="${BERT_PREP_WORKING_DIR}/download/google_pretrained_weights/uncased_L-24_H-1024_A-16/vocab.txt"

echo "Download dataset ${to_download}"
$PYTHON ${data_dir}/bertPrep.py --action download --dataset ${DATASET}

# One article a line, then one sentence a line, dealt over the shards
$PYTHON ${data_dir}/bertPrep.py --action text_formatting --dataset ${DATASET}
$PYTHON ${data_dir}/bertPrep.py --action sharding --dataset ${DATASET}

# Phase 1, then phase 2
$PYTHON ${data_dir}/bertPrep.py --action create_tfrecord_files --dataset ${DATASET} \
 --max_seq_length 128 --max_predictions_per_seq 20 --vocab_file ${VOCAB}
$PYTHON ${data_dir}/bertPrep.py --action create_tfrecord_files --dataset ${DATASET} \
 --max_seq_length 512 --max_predictions_per_seq 80 --vocab_file ${VOCAB}

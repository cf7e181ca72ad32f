"""Records are what TensorFlow reads, and every damaged byte is noticed."""

import struct

import pytest

from bertkit.data.records.frames import framed, masked_crc
from bertkit.data.records.tfrecord import (
    decode_example,
    encode_example,
    read_records,
    write_records,
)
from bertkit.errors import DataDamaged

EXAMPLE = {
    "input_ids": [101, 0, 127, 128, 30521, 16384, 65535, 65536, 1 << 40, -1],
    "masked_lm_weights": [1.0, 0.5, 0.0],
    "next_sentence_labels": [1],
}


def test_an_example_is_read_as_it_was_written():
    assert decode_example(encode_example(EXAMPLE)) == EXAMPLE


def test_the_bytes_of_an_example_are_protobufs():
    # features { feature { key: "a" value { int64_list { value: [1, 300] } } } }
    assert encode_example({"a": [1, 300]}) == bytes.fromhex(
        "0a0e" "0a0c" "0a0161" "1207" "1a05" "0a03" "01" "ac02"
    )


def test_numbers_that_are_not_packed_are_read_too():
    unpacked = (
        bytes([0x0A, 16, 0x0A, 14, 0x0A, 1, 0x61, 0x12, 9, 0x1A, 7])
        + b"\x08\x01\x08\xac\x02\x08\x05"
    )
    assert decode_example(unpacked) == {"a": [1, 300, 5]}


def test_the_checksum_is_crc32c_masked():
    # RFC 3720: 32 bytes of zeros have the CRC-32C 0x8a9136aa.
    crc = 0x8A9136AA
    assert masked_crc(bytes(32)) == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def test_records_come_back_in_order(tmp_path):
    contents = [b"first", b"", b"third" * 1000]
    assert write_records(tmp_path / "r", contents) == 3
    assert list(read_records(tmp_path / "r")) == contents


def test_every_damaged_byte_is_noticed_and_its_record_named(tmp_path):
    path = tmp_path / "r"
    first, second = framed([b"first record", b"second record"])
    for position in range(len(second)):
        hit = bytearray(second)
        hit[position] ^= 0x10
        path.write_bytes(first + bytes(hit))
        with pytest.raises(DataDamaged, match="record 2") as caught:
            list(read_records(path))
        assert str(path) in str(caught.value)
        assert caught.value.exit_code == 6


def test_a_file_that_ends_too_early_is_noticed_wherever_it_ends(tmp_path):
    path = tmp_path / "r"
    first, second = framed([b"first record", b"second record"])
    for length in range(1, len(second)):
        path.write_bytes(first + second[:length])
        with pytest.raises(DataDamaged, match="ends within"):
            list(read_records(path))


def test_an_absurd_length_with_a_right_checksum_is_refused_before_anything_is_read(tmp_path):
    length = struct.pack("<Q", 1 << 60)
    (tmp_path / "r").write_bytes(length + struct.pack("<I", masked_crc(length)))
    with pytest.raises(DataDamaged, match="cannot be"):
        list(read_records(tmp_path / "r"))


@pytest.mark.parametrize("cut", range(1, 30))
def test_a_message_that_is_cut_is_no_example(cut):
    content = encode_example({"input_ids": list(range(30))})
    with pytest.raises(ValueError, match="."):
        decode_example(content[:-cut])


@pytest.mark.tensorflow
def test_tensorflow_reads_the_samples_records(sample):
    tf = pytest.importorskip("tensorflow")
    from bertkit.data.layout import PREDICTIONS, DataLayout

    layout = DataLayout(sample)
    for seq_len, predictions in PREDICTIONS.items():
        schema = {
            name: tf.io.FixedLenFeature([size], kind)
            for name, size, kind in (
                ("input_ids", seq_len, tf.int64),
                ("input_mask", seq_len, tf.int64),
                ("segment_ids", seq_len, tf.int64),
                ("masked_lm_positions", predictions, tf.int64),
                ("masked_lm_ids", predictions, tf.int64),
                ("masked_lm_weights", predictions, tf.float32),
                ("next_sentence_labels", 1, tf.int64),
            )
        }
        for path in sorted(layout.test_records(seq_len).iterdir())[:2]:
            ours = list(read_records(path))
            theirs = list(tf.data.TFRecordDataset(str(path)))  # checks the sums
            assert [record.numpy() for record in theirs] == ours
            for record, content in zip(theirs, ours):
                parsed = tf.io.parse_single_example(record, schema)
                values = {name: value.numpy().tolist() for name, value in parsed.items()}
                assert values == decode_example(content)


@pytest.mark.tensorflow
def test_tensorflows_own_encoding_of_an_example_is_read(tmp_path):
    tf = pytest.importorskip("tensorflow")
    feature = {
        "ids": tf.train.Feature(int64_list=tf.train.Int64List(value=EXAMPLE["input_ids"])),
        "weights": tf.train.Feature(float_list=tf.train.FloatList(value=[1.0, 0.25])),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    path = tmp_path / "r"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(example.SerializeToString())
    (content,) = read_records(path)
    assert decode_example(content) == {"ids": EXAMPLE["input_ids"], "weights": [1.0, 0.25]}

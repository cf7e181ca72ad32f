"""Fetch and unpack a Wikipedia dump, with the weaknesses that upstream's 1.13.0 has.

The dump is undated, nothing is checked, a file that is there is taken for whole, and the
dump is unpacked again each time. bertkit's patches mend these; here they have something to mend.
"""
# The lines that the patches change keep upstream's form, so no formatter may touch them.
# fmt: off
# ruff: noqa: S602

import os
import subprocess
import time


class WikiDownloader:
    def __init__(self, language, save_path):
        self.save_path = save_path + '/wikicorpus_' + language

        if not os.path.exists(self.save_path):
            os.makedirs(self.save_path)

        self.language = language
        self.download_urls = {
            'en' : 'https://dumps.wikimedia.org/enwiki/latest/enwiki-latest-pages-articles.xml.bz2',
        }

        self.output_files = {
            'en' : 'wikicorpus_en.xml.bz2',
        }


    def download(self):
        if self.language in self.download_urls:
            url = self.download_urls[self.language]
            filename = self.output_files[self.language]

            print('Downloading:', url)
            if os.path.isfile(self.save_path + '/' + filename):
                print('** Download file already exists, skipping download')
            else:
                cmd = ['wget', url, '--output-document={}'.format(self.save_path + '/' + filename)]
                print('Running:', cmd)
                status = subprocess.run(cmd)
                if status.returncode != 0:
                    raise RuntimeError('Wiki download not successful')

            start = time.time()
            print('Unzipping:', self.output_files[self.language])
            subprocess.run('lbzip2 -dk ' + self.save_path + '/' + filename, shell=True, check=True)
            print("Unzip time:", time.time() - start)

        else:
            raise ValueError('WikiDownloader: no dump known for ' + self.language)

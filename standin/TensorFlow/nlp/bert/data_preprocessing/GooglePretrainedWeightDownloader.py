"""Downloads Google's checkpoints.

As upstream's at 1.13.0: every model that it knows, and a wrong checksum only gets a line. The
stand-in knows two models and checks the vocabularies.
"""

import hashlib
import os
import urllib.request
import zipfile

ADDRESS = "https://storage.googleapis.com/bert_models/2018_10_18/"
VOCAB_SHA = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"


class GooglePretrainedWeightDownloader:
    def __init__(self, save_path):
        self.save_path = os.path.join(save_path, "google_pretrained_weights")
        os.makedirs(self.save_path, exist_ok=True)
        self.model_urls = {
            "bert_base_uncased": ADDRESS + "uncased_L-12_H-768_A-12.zip",
            "bert_large_uncased": ADDRESS + "uncased_L-24_H-1024_A-16.zip",
        }
        self.model_sha = {model: {"vocab.txt": VOCAB_SHA} for model in self.model_urls}

    def verified(self, directory, sha_dict):
        """Whether each file has its checksum."""
        found = {}
        for name in sha_dict:
            with open(os.path.join(directory, name), "rb") as file:
                found[name] = hashlib.sha256(file.read()).hexdigest()
        return found == sha_dict

    def download(self):
        found_mismatch_sha = False
        for model in self.model_urls:
            url = self.model_urls[model]
            file = os.path.join(self.save_path, url.rpartition("/")[2])
            print("Downloading", url)
            urllib.request.urlretrieve(url, file)
            with zipfile.ZipFile(file) as archive:
                archive.extractall(self.save_path)
            if not self.verified(file[: -len(".zip")], self.model_sha[model]):
                found_mismatch_sha = True
                print("SHA256sum does not match:", url)

        if not found_mismatch_sha:
            print("All downloads pass sha256sum verification.")

"""From a dump of Wikipedia to files of sentences."""

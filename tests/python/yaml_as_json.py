"""Prints the documents of a YAML file as a list in JSON."""

import json
import sys

import yaml

with open(sys.argv[1]) as file:
    json.dump(list(yaml.safe_load_all(file)), sys.stdout, default=str)

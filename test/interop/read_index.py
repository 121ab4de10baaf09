"""Reads a TFRecord file in parts through a tfindex, as the package tfrecord does, and prints how many records each part has.

usage: read_index.py TFRECORD INDEX PARTS
"""

import json
import sys

from tfrecord.reader import tfrecord_iterator


def main(path, index, parts):
    count = int(parts)
    sizes = [sum(1 for _ in tfrecord_iterator(path, index, shard=(part, count))) for part in range(count)]
    json.dump(sizes, sys.stdout)


main(*sys.argv[1:])

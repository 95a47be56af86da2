"""confluent-kafka-python: prints the last committed value of each key of a topic.

usage: read.py BROKER TOPIC
"""
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

broker, topic = sys.argv[1:]
consumer = Consumer({"bootstrap.servers": broker, "group.id": "read", "isolation.level": "read_committed", "enable.partition.eof": True})
partitions = consumer.list_topics(topic, 30).topics[topic].partitions
consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
last, ended = {}, set()
while len(ended) < len(partitions):
    m = consumer.poll(30)
    assert m is not None, "nothing more comes"
    if m.error():
        ended.add(m.partition())
    elif m.value() is None:
        last.pop(m.key(), None)
    else:
        last[m.key()] = m.value()
consumer.close()
for value in last.values():
    print(value.decode())

"""confluent-kafka-python, and so librdkafka, as an idempotent producer with its defaults: writes each "KEY VALUE" of its input and says "ok KEY" or "error KEY WHY".

usage: producer.py BROKERS TOPIC
"""
import sys

from confluent_kafka import Producer

brokers, topic = sys.argv[1:]


def told(err, message):
    key = message.key().decode()
    print(f"error {key} {err}" if err else f"ok {key}", flush=True)


producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True, "acks": "all"})
for line in sys.stdin:
    key, value = line.rstrip("\n").split(" ", 1)
    producer.produce(topic, key=key, value=value, on_delivery=told)
    producer.flush()

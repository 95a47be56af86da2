"""kafka-python: produces, consumes in a group of two, commits, and goes on from what was committed.

usage: kafkapython.py BROKER TOPIC COUNT
"""
import sys
import time

from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

broker, topic, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
PARTITIONS = 4
LIMIT = 60  # seconds for any one step


def produce(values, **config):
    producer = KafkaProducer(bootstrap_servers=broker, **config)
    sent = [producer.send(topic, key=v.encode(), value=v.encode(), headers=[("h", b"x")]) for v in values]
    for s in sent:
        s.get(LIMIT)
    producer.close()


def member():
    return KafkaConsumer(topic, bootstrap_servers=broker, group_id=topic + "-group", auto_offset_reset="earliest",
                         enable_auto_commit=False, session_timeout_ms=6000, heartbeat_interval_ms=500)


def until(what, done, *members):
    end = time.monotonic() + LIMIT
    while not done():
        assert time.monotonic() < end, "not in time: " + what
        for m in members:
            for records in m.poll(timeout_ms=100).values():
                got.extend(r.value.decode() for r in records)


admin = KafkaAdminClient(bootstrap_servers=broker)
admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
wanted = ["v%d" % i for i in range(count)]
produce(wanted[::2], acks=1, compression_type="gzip")
produce(wanted[1::2], acks="all")

got = []
first = member()
until("the first member has all", lambda: len(first.assignment()) == PARTITIONS and len(got) >= count // 4, first)
first.commit()
second = member()
until("both have a half", lambda: len(first.assignment()) == len(second.assignment()) == PARTITIONS // 2, first, second)
until("everything is read", lambda: len(set(got)) == count, first, second)
assert sorted(set(got)) == sorted(wanted)
second.close()


def at_end(m):
    parts = m.assignment()
    ends = m.end_offsets(parts)
    return len(parts) == PARTITIONS and all(m.position(p) == ends[p] for p in parts)


until("the first has all again and is at the end", lambda: at_end(first), first)
first.commit()
first.close()

got = []
produce(["late-1", "late-2"])
last = member()
until("the new records are read", lambda: len(got) == 2, last)
assert sorted(got) == ["late-1", "late-2"], got
last.close()
assert (topic + "-group", "consumer") in [(g[0], g[1]) for g in admin.list_consumer_groups()]
print("ok")

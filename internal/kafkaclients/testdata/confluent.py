"""confluent-kafka-python: produces in every codec, consumes in groups of two of either protocol, commits, goes on from what was committed, and
moves a group from one protocol to the other and back.

usage: confluent.py BROKER TOPIC COUNT
"""
import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

broker, topic, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
PARTITIONS = 4
LIMIT = 60  # seconds for any one step


def produce(values, **config):
    failed = []
    producer = Producer({"bootstrap.servers": broker, **config})
    for v in values:
        producer.produce(topic, key=v.encode(), value=v.encode(), on_delivery=lambda err, _: err and failed.append(err))
        producer.poll(0)
    left = producer.flush(LIMIT)
    assert left == 0 and not failed, (left, failed[:3])


class Member:
    """A consumer that knows what it was assigned."""

    def __init__(self, **config):
        self.consumer = Consumer({
            "bootstrap.servers": broker, "group.id": topic + "-group", "auto.offset.reset": "earliest",
            "enable.auto.commit": False, **config})
        self.consumer.subscribe([topic])

    def poll(self):
        messages = self.consumer.consume(500, 0.1)
        for m in messages:
            if m.error():
                raise KafkaException(m.error())
        return [m.value().decode() for m in messages]

    def commit(self):
        """Commits what was read. What was not keeps its place."""
        read = [p for p in self.consumer.position(self.consumer.assignment()) if p.offset >= 0]
        for p in self.consumer.commit(offsets=read, asynchronous=False):
            assert p.error is None, p

    def at_end(self):
        """Reports whether the whole of what this member has is read."""
        at = self.consumer.position(self.consumer.assignment())
        unread = [p for p in at if p.offset < 0]  # since the assignment: these are where they were committed
        at = [p for p in at if p.offset >= 0] + (self.consumer.committed(unread, LIMIT) if unread else [])
        return all(p.offset == self.consumer.get_watermark_offsets(TopicPartition(p.topic, p.partition))[1] for p in at)

    def partitions(self):
        return len(self.consumer.assignment())


def until(what, done, step):
    end = time.monotonic() + LIMIT
    while not done():
        assert time.monotonic() < end, "not in time: " + what
        step()


def classic(strategy):
    return {"partition.assignment.strategy": strategy, "session.timeout.ms": 6000, "heartbeat.interval.ms": 300}


def assigned(assignor):
    """A group whose coordinator assigns (KIP-848)."""
    return {"group.protocol": "consumer", "group.remote.assignor": assignor, "log_level": 3}  # not the warning that it is a preview


def group(config):
    got = []

    def read(*members):
        for m in members:
            got.extend(m.poll())

    first = Member(**config)
    until("the first member has all", lambda: first.partitions() == PARTITIONS and len(got) >= count // 4, lambda: read(first))
    first.commit()
    second = Member(**config)
    until("both have a half", lambda: first.partitions() == second.partitions() == PARTITIONS // 2, lambda: read(first, second))
    until("everything is read", lambda: len(set(got)) == count, lambda: read(first, second))
    second.consumer.close()
    until("the first has all again and is at the end", lambda: first.partitions() == PARTITIONS and first.at_end(), lambda: read(first))
    first.commit()
    first.consumer.close()


def move(strategy):
    """Members of the classic protocol give way to such of the other one and come back, one at a time, while the group reads."""
    name, expected, got, members = topic + "-" + strategy, count, set(), []

    def read():
        for m in members:
            got.update(m.poll())

    def shared():
        parts = [m.partitions() for m in members]
        return sum(parts) == PARTITIONS and max(parts) - min(parts) <= 1

    old, new = classic(strategy), assigned("uniform")
    for config in old, old, new, None, new, None, old, None, old, None:
        if config is None:
            members.pop(0).consumer.close()
        else:
            members.append(Member(**{**config, "group.id": name, "enable.auto.commit": True}))
        until("%d members share the topic" % len(members), shared, read)
        values = ["%s-%s-%d" % (strategy, len(got), i) for i in range(40)]
        produce(values)
        expected += len(values)
        until("all is read", lambda: len(got) == expected, read)
    for m in members:
        m.consumer.close()
    return expected


codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
admin = AdminClient({"bootstrap.servers": broker})
admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(LIMIT)
wanted = ["v%d" % i for i in range(count)]
for i, codec in enumerate(codecs):
    produce(wanted[i::len(codecs)], **{"compression.type": codec, "enable.idempotence": i % 2 == 0})
group(classic("range"))

# What was committed stays: a new member sees new records only, here those of a transaction that was committed.
producer = Producer({"bootstrap.servers": broker, "transactional.id": topic + "-txn"})
producer.init_transactions(LIMIT)
for values, end in (["aborted"], producer.abort_transaction), (["late-1", "late-2"], producer.commit_transaction):
    producer.begin_transaction()
    for v in values:
        producer.produce(topic, value=v.encode())
    producer.flush(LIMIT)
    end(LIMIT)
late = []
member = Member(**classic("range"))
until("the new records are read", lambda: len(late) == 2, lambda: late.extend(member.poll()))
assert sorted(late) == ["late-1", "late-2"], late
member.consumer.close()

count += 2
for config in classic("cooperative-sticky"), assigned("uniform"), assigned("range"):
    admin.delete_consumer_groups([topic + "-group"])[topic + "-group"].result(LIMIT)
    group(config)
for strategy in "range", "cooperative-sticky":
    count = move(strategy)
print("ok")

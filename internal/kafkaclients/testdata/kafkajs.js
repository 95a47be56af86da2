// kafkajs: produces, consumes in a group of two, commits, and goes on from what was committed; then a transaction.
//
// usage: node kafkajs.js BROKER TOPIC COUNT
const { Kafka, CompressionTypes, logLevel } = require('kafkajs')

const [broker, topic, n] = process.argv.slice(2)
const count = Number(n)
const partitions = 4
const limit = 60_000 // milliseconds for any one step
const kafka = new Kafka({ brokers: [broker], clientId: 'suite', logLevel: logLevel.NOTHING })

async function until(what, done) {
  const end = Date.now() + limit
  while (!(await done())) {
    if (Date.now() > end) throw new Error('not in time: ' + what)
    await new Promise(r => setTimeout(r, 50))
  }
}

// member starts a consumer that keeps what it reads in got and how much it was assigned in .partitions.
async function member(got) {
  const consumer = kafka.consumer({ groupId: topic + '-group', sessionTimeout: 6000, heartbeatInterval: 300, rebalanceTimeout: 10000, maxWaitTimeInMs: 200 })
  consumer.on(consumer.events.GROUP_JOIN, e => { consumer.partitions = (e.payload.memberAssignment[topic] || []).length })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ eachMessage: async ({ message }) => { got.push(message.value.toString()) } })
  return consumer
}

async function main() {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions, replicationFactor: 1 }] })
  const wanted = Array.from({ length: count }, (_, i) => 'v' + i)
  const messages = values => values.map(v => ({ key: v, value: v, headers: { h: 'x' } }))
  const producer = kafka.producer({ idempotent: true, transactionalId: topic + '-txn', maxInFlightRequests: 1 })
  await producer.connect()
  const plain = kafka.producer()
  await plain.connect()
  await plain.send({ topic, messages: messages(wanted.slice(0, count / 2)), compression: CompressionTypes.GZIP })
  await plain.send({ topic, messages: messages(wanted.slice(count / 2)), acks: 1 })

  const got = []
  const first = await member(got)
  await until('the first member has all', () => first.partitions === partitions && got.length >= count / 4)
  const second = await member(got)
  await until('both have a half', () => first.partitions === partitions / 2 && second.partitions === partitions / 2)
  await until('everything is read', () => new Set(got).size === count)
  await second.disconnect()
  await until('the first has all again', () => first.partitions === partitions)
  await first.disconnect()

  // The offsets that were committed stay; an aborted transaction is not seen, a committed one is.
  for (const [values, end] of [[['aborted'], 'abort'], [['late-1', 'late-2'], 'commit']]) {
    const txn = await producer.transaction()
    await txn.send({ topic, messages: messages(values) })
    await txn[end]()
  }
  const late = []
  const last = await member(late)
  await until('the new records are read', () => late.length >= 2)
  if (late.sort().join() !== 'late-1,late-2') throw new Error('read again or too much: ' + late)
  await last.disconnect()

  const offsets = await admin.fetchTopicOffsets(topic)
  if (offsets.length !== partitions) throw new Error('offsets of ' + offsets.length + ' partitions')
  await admin.deleteGroups([topic + '-group'])
  await admin.deleteTopics({ topics: [topic] })
  for (const c of [admin, producer, plain]) await c.disconnect()
  console.log('ok')
}

main().then(() => process.exit(0), err => { console.error(err); process.exit(1) })

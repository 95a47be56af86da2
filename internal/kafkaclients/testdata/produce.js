// kafkajs: writes the lines of stdin as values, idempotent, a few at a time, however often the broker goes away.
//
// usage: node produce.js BROKER TOPIC < lines
const { Kafka, logLevel } = require('kafkajs')

const [broker, topic] = process.argv.slice(2)
const kafka = new Kafka({ brokers: [broker], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 1000 } })

async function main() {
  const lines = require('fs').readFileSync(0, 'utf8').trim().split('\n')
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  for (let i = 0; i < lines.length; i += 10) {
    await producer.send({ topic, acks: -1, messages: lines.slice(i, i + 10).map(value => ({ value })) })
    await new Promise(r => setTimeout(r, 5))
  }
  await producer.disconnect()
}

main().then(() => process.exit(0), err => { console.error(err); process.exit(1) })

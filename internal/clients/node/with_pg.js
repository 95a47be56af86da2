// node-postgres, with pg-cursor, pg-query-stream and pg-copy-streams.
const assert = require('node:assert/strict')
const { Readable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const { Client, Pool, Query } = require('pg')
const Cursor = require('pg-cursor')
const QueryStream = require('pg-query-stream')
const copy = require('pg-copy-streams')
const { create, columns, row, step, fails, ssl, run } = require('./common')

const NAME = 'nodepg'
const ITEMS = `${NAME}_items`
const PUSH = `SELECT n, word FROM ${NAME}_events EMIT CHANGES`

const connect = async () => {
  const client = new Client({ ssl: ssl(), enableChannelBinding: true })
  await client.connect()
  return client
}

run(async () => {
  const client = await connect()
  assert.equal((await client.query('SELECT current_user')).rows[0].current_user, process.env.PGUSER)
  step('connect')

  for (const statement of create(NAME)) await client.query(statement)
  step('create')

  const places = columns.map((_, i) => `$${i + 1}`).join(', ')
  const insert = `INSERT INTO ${ITEMS} (${columns.join(', ')}) VALUES (${places})`
  assert.equal((await client.query(insert, columns.map((c) => row[c]))).rowCount, 1)
  await client.query({ name: 'insert', text: insert, values: [8, ...Array(10).fill(null)] })
  await client.query({ name: 'insert', text: insert, values: [9, ...Array(10).fill(null)] })
  step('insert')

  const text = await client.query(`SELECT * FROM ${ITEMS} WHERE id = $1`, [7])
  assert.deepEqual({ ...text.rows[0] }, row)
  const binary = await client.query({ text: `SELECT id, ok, name FROM ${ITEMS} WHERE id = $1`, values: [7], binary: true })
  assert.deepEqual({ ...binary.rows[0] }, { id: 7, ok: true, name: row.name })
  const several = await client.query('SELECT 1 AS a; SELECT 2 AS b')
  assert.deepEqual(several.map((r) => r.rows[0]), [{ a: 1 }, { b: 2 }])
  step('read')

  const lines = Readable.from((function* () { for (let i = 100; i < 350; i++) yield `${i}\tname ${i}\n` })())
  await pipeline(lines, client.query(copy.from(`COPY ${ITEMS} (id, name) FROM STDIN`)))
  let out = ''
  for await (const chunk of client.query(copy.to(`COPY (SELECT id, name FROM ${ITEMS} WHERE id > 347 ORDER BY id) TO STDOUT`))) out += chunk
  assert.equal(out, '348\tname 348\n349\tname 349\n')
  step('copy')

  const cursor = client.query(new Cursor(`SELECT id FROM ${ITEMS} WHERE id >= $1 ORDER BY id`, [100]))
  let count = 0
  for (let rows = await cursor.read(60); rows.length > 0; rows = await cursor.read(60)) {
    assert.equal(rows[0].id, 100 + count)
    count += rows.length
  }
  assert.equal(count, 250)
  await cursor.close()
  let streamed = 0
  for await (const r of client.query(new QueryStream(`SELECT id FROM ${ITEMS} WHERE id >= $1`, [100], { batchSize: 30 }))) streamed += r.id >= 100
  assert.equal(streamed, 250)
  step('cursor')

  await fails('23505', client.query(insert, columns.map((c) => row[c])), 'the same key twice')
  const e = await fails('42P01', client.query('SELECT * FROM nowhere'), 'no such table')
  assert.equal(e.position, '15')
  await client.query('BEGIN')
  await fails('22012', client.query('SELECT 1 / $1::int', [0]), 'division by zero')
  await fails('25P02', client.query('SELECT 1'), 'a failed block')
  await client.query('ROLLBACK')
  step('errors')

  await push(client)
  await listen(client)
  await client.end()

  const pool = new Pool({ max: 3, ssl: ssl(), statement_timeout: 200 })
  assert.deepEqual((await Promise.all([1, 2, 3, 4].map((i) => pool.query('SELECT $1::int AS i', [i])))).map((r) => r.rows[0].i), [1, 2, 3, 4])
  await fails('57014', pool.query('SELECT pg_sleep(5)'), 'statement_timeout')
  await pool.end()
  step('pool')
})

async function push(client) {
  const other = await connect()
  await client.query("SET auto_offset_reset = 'earliest'")
  const seen = []
  await new Promise((resolve, reject) => {
    const q = new Query(PUSH)
    q.on('row', async (r) => {
      seen.push(r.n)
      if (seen.length === 3) await other.query(`INSERT INTO ${NAME}_events VALUES ($1, $2)`, [4, 'four'])
      if (seen.length === 4) await other.query('SELECT pg_cancel_backend($1)', [client.processID])
    })
    q.on('error', (e) => (e.code === '57014' ? resolve() : reject(e)))
    q.on('end', () => reject(new Error('an endless query ended')))
    client.query(q)
  })
  assert.deepEqual(seen.sort(), [1, 2, 3, 4])

  const cursor = client.query(new Cursor(PUSH))
  assert.equal((await cursor.read(4)).length, 4)
  await cursor.close()
  // A stream asks for the row after the next before its program has taken one, and cannot be closed while it waits for that: hence the LIMIT.
  let n = 0
  for await (const r of client.query(new QueryStream(`${PUSH} LIMIT 4`, [], { batchSize: 1 }))) n += r.n
  assert.equal(n, 10)
  assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1)
  step('push')

  const waiting = client.query(`SELECT n FROM ${NAME}_events WHERE n > 4 EMIT CHANGES`)
  let ended = false
  const failed = fails('57014', waiting, 'cancel').finally(() => (ended = true))
  while (!ended) await other.query('SELECT pg_cancel_backend($1)', [client.processID])
  await failed
  assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1)
  await other.end()
  step('cancel')
}

async function listen(client) {
  const other = await connect()
  const got = new Promise((resolve) => client.once('notification', resolve))
  await client.query('LISTEN nodepg_news')
  await other.query("SELECT pg_notify('nodepg_news', $1)", ['hello'])
  const n = await got
  assert.deepEqual([n.channel, n.payload, n.processId], ['nodepg_news', 'hello', other.processID])
  await other.end()
  step('listen')
}

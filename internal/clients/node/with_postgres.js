// postgres.js
const assert = require('node:assert/strict')
const { Readable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const postgres = require('postgres')
const { create, row, step, fails, ssl, run } = require('./common')

const NAME = 'postgresjs'
const ITEMS = `${NAME}_items`
const EVENTS = `${NAME}_events`

run(async () => {
  const sql = postgres({ max: 2, ssl: ssl(), onnotice: () => {}, connection: { auto_offset_reset: 'earliest' } })
  assert.equal((await sql`SELECT current_user`)[0].current_user, process.env.PGUSER)
  step('connect')

  for (const statement of create(NAME)) await sql.unsafe(statement)
  step('create')

  await sql`INSERT INTO ${sql(ITEMS)} ${sql(row)}`
  await sql`INSERT INTO ${sql(ITEMS)} ${sql([{ id: 8, name: null }, { id: 9, name: 'nine' }])}`
  step('insert')

  const [have] = await sql`SELECT * FROM ${sql(ITEMS)} WHERE id = ${7}`
  assert.deepEqual({ ...have }, row)
  assert.equal((await sql`SELECT id FROM ${sql(ITEMS)} WHERE id IN ${sql([7, 8])}`).length, 2)
  assert.equal((await sql`SELECT id FROM ${sql(ITEMS)} WHERE name = ANY(${['nine', 'ten']})`)[0].id, 9)
  const [a, b] = await Promise.all([sql`SELECT 1 AS x`, sql`SELECT 2 AS x`])
  assert.deepEqual([a[0].x, b[0].x], [1, 2])
  step('read')

  const into = await sql`COPY ${sql(ITEMS)} (id, name) FROM STDIN`.writable()
  await pipeline(Readable.from((function* () { for (let i = 100; i < 350; i++) yield `${i}\tname ${i}\n` })()), into)
  let out = ''
  for await (const chunk of await sql`COPY (SELECT id, name FROM ${sql(ITEMS)} WHERE id > 347 ORDER BY id) TO STDOUT`.readable()) out += chunk
  assert.equal(out, '348\tname 348\n349\tname 349\n')
  step('copy')

  let count = 0
  for await (const rows of sql`SELECT id FROM ${sql(ITEMS)} WHERE id >= 100 ORDER BY id`.cursor(60)) {
    assert.equal(rows[0].id, 100 + count)
    count += rows.length
  }
  assert.equal(count, 250)
  step('cursor')

  await fails('23505', sql`INSERT INTO ${sql(ITEMS)} ${sql(row)}`, 'the same key twice')
  await fails('42P01', sql`SELECT * FROM nowhere`, 'no such table')
  await fails('22012', sql.begin(async (tx) => { await tx`DELETE FROM ${tx(ITEMS)}`; await tx`SELECT 1 / ${0}::int` }), 'division by zero')
  assert.equal((await sql`SELECT count(*) FROM ${sql(ITEMS)}`)[0].count, '253')
  step('errors')

  const seen = []
  for await (const [r] of sql`SELECT n, word FROM ${sql(EVENTS)} EMIT CHANGES`.cursor(1)) {
    seen.push(r.n)
    if (seen.length === 3) await sql`INSERT INTO ${sql(EVENTS)} ${sql({ n: 4, word: 'four' })}`
    if (seen.length === 4) break
  }
  assert.deepEqual(seen.sort(), [1, 2, 3, 4])
  const each = []
  const endless = sql`SELECT n FROM ${sql(EVENTS)} EMIT CHANGES`
  await fails('57014', endless.forEach((r) => { if (each.push(r.n) === 4) endless.cancel() }), 'cancel of forEach')
  assert.equal(each.length, 4)
  step('push')

  const waiting = sql`SELECT n FROM ${sql(EVENTS)} WHERE n > 4 EMIT CHANGES`.execute()
  let ended = false
  const failed = fails('57014', waiting, 'cancel').finally(() => (ended = true))
  while (!ended) {
    waiting.cancel()
    await sql`SELECT 1`
  }
  await failed
  step('cancel')

  let told
  const got = new Promise((resolve) => (told = resolve))
  await sql.listen('postgresjs_news', told)
  await sql.notify('postgresjs_news', 'hello')
  assert.equal(await got, 'hello')
  step('listen')
  await sql.end({ timeout: 5 })
})

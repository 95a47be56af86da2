// What the programs for Node.js share. A program connects by the PG* variables of its environment and prints a line for each step that went
// as it should; it ends at the first that did not.
const assert = require('node:assert/strict')

exports.create = (name) => [
  `DROP TABLE IF EXISTS ${name}_items CASCADE`,
  `DROP STREAM IF EXISTS ${name}_events CASCADE DELETE TOPIC`,
  `CREATE TABLE ${name}_items (id INT PRIMARY KEY, big BIGINT, price NUMERIC(12,2), ratio DOUBLE PRECISION, ok BOOLEAN, name TEXT, at TIMESTAMPTZ,
    code UUID, raw BYTEA, tags TEXT[], doc JSONB)`,
  `CREATE STREAM ${name}_events (n INT, word TEXT)`,
  `INSERT INTO ${name}_events VALUES (1, 'one'), (2, 'two'), (3, 'three')`,
]

exports.columns = ['id', 'big', 'price', 'ratio', 'ok', 'name', 'at', 'code', 'raw', 'tags', 'doc']

exports.row = {
  id: 7,
  big: '9007199254740993',
  price: '12345.67',
  ratio: 0.1,
  ok: true,
  name: "naïve ☃ 'quoted' \\",
  at: new Date('2026-03-01T12:30:15.250Z'),
  code: '6f1c1c64-8f3a-4d7b-9e55-0a4b6a2d9f10',
  raw: Buffer.from([0, 1, 254, 255]),
  tags: ['a', 'b,c', 'd"e'],
  doc: { k: [1, null, 'x'] },
}

exports.step = (name) => console.log('ok', name)

exports.fails = async (code, promise, what) => {
  try {
    await promise
  } catch (e) {
    assert.equal(e.code, code, `${what}: ${e.message}`)
    return e
  }
  assert.fail(`${what}: no error, want ${code}`)
}

// ssl is what PGSSLMODE and PGSSLROOTCERT ask for, which these drivers do not read in the way of libpq.
exports.ssl = () =>
  process.env.PGSSLROOTCERT ? { ca: require('node:fs').readFileSync(process.env.PGSSLROOTCERT), rejectUnauthorized: true } : false

exports.run = (main) =>
  main().then(
    () => process.exit(0),
    (e) => {
      console.error(e)
      process.exit(1)
    },
  )

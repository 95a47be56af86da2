CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE users (id integer PRIMARY KEY, name varchar(20) NOT NULL, vip boolean DEFAULT false, created timestamptz DEFAULT now());
CREATE TABLE orders (id bigserial PRIMARY KEY, user_id integer, amount numeric(12,2), ratio double precision, ok boolean, at timestamptz,
  ts timestamp, d date, j jsonb, b bytea, u uuid, tags text[], m mood, note text, iv interval, f4 real, i2 smallint, js json, t time);
COMMENT ON TABLE orders IS 'the orders';
COMMENT ON COLUMN orders.amount IS 'how much';
CREATE INDEX orders_user ON orders (user_id);
CREATE VIEW big_orders AS SELECT * FROM orders WHERE amount > 100;
CREATE MATERIALIZED VIEW per_user AS SELECT user_id, count(*) AS n, sum(amount) AS s FROM orders GROUP BY user_id;
CREATE TABLE pdt (a bigint);
CREATE TABLE sat (id serial PRIMARY KEY, n varchar(20));
CREATE TABLE ct (id int, name text, amount numeric, at timestamptz);
CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler varchar(22));
CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler varchar(84));
CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler varchar(84));
CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler varchar(88));
INSERT INTO users (id, name, created) VALUES (1, 'ann', '2026-01-01 10:00Z'), (2, 'bob', '2026-01-02 10:00Z');
INSERT INTO orders (user_id, amount, ratio, ok, at, j, tags, m, note, iv, t) VALUES
  (1, 150, 0.5, true, '2026-02-01 12:00Z', '{"a": 1}', '{x,y}', 'ok', 'first', '1 day', '10:00'), (2, 20, NULL, false, NULL, NULL, NULL, 'sad', 'second', NULL, NULL);

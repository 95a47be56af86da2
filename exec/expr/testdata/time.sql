select date '2001-09-28' + 7, date '2001-10-01' - 7, date '2001-10-01' - date '2001-09-28', date '2001-09-28' + interval '1 hour', date '2001-09-28' + time '03:00', 7 + date '2001-09-28', date '2001-09-28' - interval '1 hour'
select timestamp '2001-09-28 01:00' + interval '23 hours', timestamp '2001-09-29 03:00' - timestamp '2001-07-27 12:00', timestamp '2001-09-28 23:00' - interval '23 hours', timestamptz '2001-09-28 01:00+00' + interval '1 month', interval '1 day' + timestamp '2001-01-31'
select time '05:00' - time '03:00', time '05:00' - interval '2 hours', time '01:00' + interval '3 hours', time '01:00' - interval '3 hours', interval '1 day' + interval '1 hour', - interval '23 hours', interval '1 hour' * 3.5, 21 * interval '1 second', interval '1 hour' / 1.5
select interval '1 hour' / 0
select date '5874897-12-31' + 1
select timestamp '294246-12-31' + interval '100000 years'
select age(timestamp '2001-04-10', timestamp '1957-06-13'), age(timestamptz '2001-04-10 00:00+00', timestamptz '1957-06-13 00:00+00')
select date_trunc('hour', timestamp '2001-02-16 20:38:40'), date_trunc('year', timestamp '2001-02-16 20:38:40'), date_trunc('week', timestamp '2001-02-16 20:38:40'), date_trunc('quarter', timestamptz '2001-02-16 20:38:40+00'), date_trunc('day', timestamptz '2001-02-16 20:38:40+00', 'Australia/Sydney'), date_trunc('hour', interval '3 days 02:47:33'), date_trunc('month', interval '1 year 5 mons 3 days'), date_trunc('century', timestamp '2001-02-16')
select date_trunc('foo', timestamp '2001-02-16')
select date_trunc('week', interval '3 days')
select date_bin('15 minutes', timestamp '2020-02-11 15:44:17', timestamp '2001-01-01'), date_bin('1 hour', timestamptz '2020-02-11 15:44:17+00', timestamptz '2001-01-01 00:30+00')
select extract(year from timestamp '2001-02-16 20:38:40.5'), extract(second from timestamp '2001-02-16 20:38:40.5'), extract(epoch from timestamptz '2001-02-16 20:38:40.12+00'), extract(dow from date '2001-02-16'), extract(isodow from date '2001-02-18'), extract(doy from date '2001-02-16'), extract(week from date '2001-02-16'), extract(isoyear from date '2006-01-01'), extract(quarter from date '2001-02-16'), extract(century from date '2001-02-16'), extract(epoch from date '2001-02-16'), extract(julian from date '2001-02-16')
select extract(hour from time '20:38:40'), extract(epoch from interval '5 days 3 hours'), extract(day from interval '5 days 3 hours'), extract(millisecond from timestamp '2001-02-16 20:38:40.12'), extract(microseconds from time '17:12:28.5'), extract(timezone from timestamptz '2001-02-16 20:38:40+00'), extract(epoch from timestamp 'infinity'), extract(month from timestamp 'infinity')
select extract(hour from date '2001-02-16')
select extract(foo from timestamp '2001-02-16')
select date_part('hour', timestamp '2001-02-16 20:38:40'), date_part('month', interval '2 years 3 months'), date_part('hour', date '2001-02-16'), date_part('epoch', date '2001-02-16')
select timestamp '2001-02-16 20:38:40' at time zone 'America/Denver', timestamptz '2001-02-16 20:38:40-05' at time zone 'America/Denver', timestamp '2001-02-16 20:38:40' at time zone interval '-05:00', timestamptz '2001-02-16 20:38:40+00' at time zone '+02'
select timestamp '2001-02-16' at time zone 'nowhere'
select make_date(2013, 7, 15), make_time(8, 15, 23.5), make_timestamp(2013, 7, 15, 8, 15, 23.5), make_timestamptz(2013, 7, 15, 8, 15, 23.5), make_timestamptz(2013, 7, 15, 8, 15, 23.5, 'Europe/Berlin')
select make_date(2013, 2, 30)
select make_time(25, 0, 0)
select make_timestamp(2013, 13, 1, 0, 0, 0)
select justify_days(interval '35 days'), justify_hours(interval '27 hours'), justify_interval(interval '1 mon -1 hour')
select isfinite(date '2001-02-16'), isfinite(timestamp 'infinity'), isfinite(timestamptz '2001-01-01'), isfinite(interval '4 hours')
select to_timestamp(1284352323), to_timestamp(0.5), to_timestamp('05 Dec 2000', 'DD Mon YYYY'), to_timestamp('2012/08/30 12:34', 'YYYY/MM/DD HH24:MI'), to_date('20001205', 'YYYYMMDD'), to_date('05 Dec 2000', 'DD Mon YYYY')
select to_timestamp('x', 'YYYY')
select to_char(timestamp '2002-04-20 17:31:12.66', 'HH12:MI:SS'), to_char(timestamp '2002-04-20 17:31:12.66', 'Day, DD  HH12:MI:SS'), to_char(timestamp '2002-04-20 17:31:12.66', 'FMDay, FMDD  HH12:MI:SS'), to_char(timestamptz '2002-04-20 17:31:12.66+00', 'YYYY-MM-DD"T"HH24:MI:SS.MSOF')
select to_char(interval '15h 2m 12s', 'HH24:MI:SS'), to_char(interval '3 days 02:03:04', 'DD HH24:MI:SS.MS'), to_char(interval '1 year 2 mons', 'YYYY-MM'), to_char(interval '27 hours', 'FMHH24 "h" MI')
select timestamp '2001-01-01' < timestamp '2001-01-02', date '2001-01-01' = date '2001-01-01', interval '1 month' = interval '30 days', time '01:00' > time '00:59', timestamptz '2001-01-01 00:00+01' < timestamptz '2001-01-01 00:00+00', date '2001-01-01' < timestamp '2001-01-01 00:00:01'
select greatest(date '2001-01-01', date '2002-01-01'), least(interval '1 day', interval '25 hours')
select * from generate_series(timestamp '2008-03-01', timestamp '2008-03-02', interval '10 hours')
select * from generate_series(timestamptz '2008-03-01 00:00+00', '2008-01-01 00:00+00', interval '-1 month')
select * from generate_series(timestamp '2008-03-01', timestamp '2008-03-02', interval '0')
select 'infinity'::timestamp + interval '1 day', 'infinity'::date + 1, 'infinity'::date - 5, date 'infinity' + interval '1 day'

package demo

// The statements of the demonstration, in the order in which they run. They are plain SQL: paste them into psql and they do the same.

const createAirports = `CREATE TABLE airports (
    iata TEXT PRIMARY KEY, name TEXT, city TEXT, state TEXT, country TEXT,
    latitude DOUBLE PRECISION, longitude DOUBLE PRECISION)`

const createRaw = `CREATE STREAM flight_lines (line TEXT)
    WITH (topic = 'flights', value_format = 'kafka', partitions = %d)`

const createFlights = `CREATE STREAM flights (
    date TEXT, delay INT, distance INT, origin TEXT, destination TEXT)
    WITH (topic = 'flights', value_format = 'json',
          timestamp = 'date', timestamp_format = 'YYYY/MM/DD HH24:MI')`

const createDepartures = `CREATE STREAM departures AS
    SELECT f.origin, f.destination, f.delay, f.distance, a.city, a.state
    FROM flights f JOIN airports a ON f.origin = a.iata`

const createDelays = `CREATE TABLE delays AS
    SELECT state, windowstart AS day, count(*) AS flights, sum(delay) AS minutes,
           avg(delay) AS mean_delay, max(delay) AS worst
    FROM departures WINDOW TUMBLING (SIZE 1 DAY)
    GROUP BY state`

const pushQuery = `SELECT state, day, flights, worst FROM delays
    WHERE worst > 180 EMIT CHANGES LIMIT 5`

const lookUp = `SELECT * FROM delays WHERE state = 'TX' AND day = '2001-01-15'`

const upsert = `INSERT INTO airports (iata, name, city, state, country)
    VALUES ('LAS', 'Harry Reid International', 'Las Vegas', 'NV', 'USA')
    ON CONFLICT (iata) DO UPDATE SET name = excluded.name
    RETURNING iata, name, city, state`

const badLine = `{"date":"2001/04/01 12:00","delay":"very","distance":100,"origin":"LAS","destination":"OAK"}`

const insertBad = `INSERT INTO flight_lines VALUES ('` + badLine + `')`

const selectErrors = `SELECT topic, partition, "offset", reason, payload FROM millrace.errors`

// Results is the table that the demonstration ends with.
const Results = `SELECT state, sum(flights) AS flights, round(sum(minutes)::numeric / sum(flights), 2) AS mean_delay, max(worst) AS worst
    FROM delays GROUP BY state ORDER BY mean_delay DESC, state LIMIT 10`

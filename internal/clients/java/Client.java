import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.Properties;
import java.util.UUID;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;

/** The JDBC driver. It prints a line for each step that went as it should and ends with the first that did not. */
public class Client {
    static final String ITEMS = "jdbc_items";
    static final String EVENTS = "jdbc_events";

    interface Code {
        void run() throws Exception;
    }

    static void step(String name) {
        System.out.println("ok " + name);
    }

    static void equal(Object have, Object want, String what) {
        if (!Objects.deepEquals(have, want)) throw new AssertionError(what + ": have " + have + ", want " + want);
    }

    static void fails(String state, Code code, String what) throws Exception {
        try {
            code.run();
        } catch (SQLException e) {
            equal(e.getSQLState(), state, what + ": " + e.getMessage());
            return;
        }
        throw new AssertionError(what + ": no error, want " + state);
    }

    static Connection connect(String... more) throws SQLException {
        Properties p = new Properties();
        p.setProperty("user", System.getenv("PGUSER"));
        if (System.getenv("PGPASSWORD") != null) p.setProperty("password", System.getenv("PGPASSWORD"));
        p.setProperty("sslmode", Objects.requireNonNullElse(System.getenv("PGSSLMODE"), "disable"));
        if (System.getenv("PGSSLROOTCERT") != null) p.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
        for (int i = 0; i < more.length; i += 2) p.setProperty(more[i], more[i + 1]);
        return DriverManager.getConnection(
            "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE"), p);
    }

    static final List<String> COLUMNS = List.of("id", "big", "price", "ratio", "ok", "name", "at", "day", "code", "raw", "tags");
    static final String INSERT = "INSERT INTO " + ITEMS + " (" + String.join(", ", COLUMNS) + ") VALUES (" + String.join(", ", Collections.nCopies(11, "?")) + ")";

    static Object[] row(Connection c, int id) throws SQLException {
        return new Object[] {
            id, 9007199254740993L, new BigDecimal("12345.67"), 0.1, true, "naïve ☃ 'quoted' \\", OffsetDateTime.parse("2026-03-01T12:30:15.250Z"),
            LocalDate.parse("2026-03-01"), UUID.fromString("6f1c1c64-8f3a-4d7b-9e55-0a4b6a2d9f10"), new byte[] {0, 1, -2, -1},
            c.createArrayOf("text", new String[] {"a", "b,c", "d\"e"}),
        };
    }

    static void set(PreparedStatement s, Object[] values) throws SQLException {
        for (int i = 0; i < values.length; i++) s.setObject(i + 1, values[i]);
    }

    static List<Object> ints(ResultSet r) throws SQLException {
        List<Object> all = new ArrayList<>();
        while (r.next()) all.add(r.getInt(1));
        return all;
    }

    public static void main(String[] args) throws Exception {
        try (Connection c = connect()) {
            equal(c.getMetaData().getDatabaseMajorVersion(), 15, "version");
            equal(c.isValid(5), true, "isValid");
            step("connect");
            create(c);
            insert(c);
            read(c);
            copy(c);
            cursor(c);
            catalog(c);
            errors(c);
            push(c);
            listen(c);
        }
    }

    static void create(Connection c) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute("DROP TABLE IF EXISTS " + ITEMS + " CASCADE; DROP STREAM IF EXISTS " + EVENTS + " CASCADE DELETE TOPIC");
            s.execute("CREATE TABLE " + ITEMS + " (id INT PRIMARY KEY, big BIGINT, price NUMERIC(12,2), ratio DOUBLE PRECISION, ok BOOLEAN, name TEXT,"
                + " at TIMESTAMPTZ, day DATE, code UUID, raw BYTEA, tags TEXT[])");
            s.execute("CREATE STREAM " + EVENTS + " (n INT, word TEXT)");
            s.execute("INSERT INTO " + EVENTS + " VALUES (1, 'one'), (2, 'two'), (3, 'three')");
        }
        step("create");
    }

    static void insert(Connection c) throws SQLException {
        try (PreparedStatement s = c.prepareStatement(INSERT)) {
            set(s, row(c, 7));
            equal(s.executeUpdate(), 1, "rows of INSERT");
            set(s, row(c, 8));
            for (int i = 2; i <= 11; i++) s.setNull(i, new int[] {Types.BIGINT, Types.NUMERIC, Types.DOUBLE, Types.BOOLEAN, Types.VARCHAR,
                Types.TIMESTAMP_WITH_TIMEZONE, Types.DATE, Types.OTHER, Types.BINARY, Types.ARRAY}[i - 2]);
            s.addBatch();
            set(s, row(c, 9));
            s.addBatch();
            equal(s.executeBatch(), new int[] {1, 1}, "rows of a batch");
        }
        try (PreparedStatement s = c.prepareStatement("UPDATE " + ITEMS + " SET ok = NOT ok WHERE id = ? RETURNING ok")) {
            s.setInt(1, 9);
            ResultSet r = s.executeQuery();
            equal(r.next() && !r.getBoolean(1), true, "RETURNING");
        }
        step("insert");
    }

    static void read(Connection c) throws SQLException {
        Object[] want = row(c, 7);
        try (PreparedStatement s = c.prepareStatement("SELECT * FROM " + ITEMS + " WHERE id = ?")) {
            for (int run = 0; run < 8; run++) { // from the fifth on prepared on the server, with binary results
                s.setInt(1, 7);
                ResultSet r = s.executeQuery();
                equal(r.next(), true, "a row");
                for (int i = 0; i < want.length; i++) {
                    String name = COLUMNS.get(i);
                    Object have = switch (name) {
                        case "at" -> r.getObject(name, OffsetDateTime.class);
                        case "day" -> r.getObject(name, LocalDate.class);
                        case "raw" -> r.getBytes(name);
                        case "tags" -> Arrays.asList((Object[]) r.getArray(name).getArray());
                        default -> r.getObject(name);
                    };
                    equal(have, name.equals("tags") ? List.of("a", "b,c", "d\"e") : want[i], name);
                }
            }
        }
        step("read");
    }

    static void copy(Connection c) throws Exception {
        var api = c.unwrap(PGConnection.class).getCopyAPI();
        StringBuilder in = new StringBuilder();
        for (int i = 100; i < 350; i++) in.append(i).append(",name ").append(i).append('\n');
        equal(api.copyIn("COPY " + ITEMS + " (id, name) FROM STDIN (FORMAT csv)", new StringReader(in.toString())), 250L, "rows of COPY");
        var out = new ByteArrayOutputStream();
        api.copyOut("COPY (SELECT id, name FROM " + ITEMS + " WHERE id > 347 ORDER BY id) TO STDOUT", out);
        equal(out.toString(StandardCharsets.UTF_8), "348\tname 348\n349\tname 349\n", "copy out");
        step("copy");
    }

    static void cursor(Connection c) throws SQLException {
        c.setAutoCommit(false);
        try (Statement s = c.createStatement(); Statement other = c.createStatement()) {
            s.setFetchSize(60);
            ResultSet r = s.executeQuery("SELECT id FROM " + ITEMS + " WHERE id >= 100 ORDER BY id");
            for (int i = 100; i < 350; i++) {
                equal(r.next(), true, "a row");
                equal(r.getInt(1), i, "id");
                if (i == 200) equal(other.executeQuery("SELECT 1").next(), true, "another query between");
            }
            equal(r.next(), false, "the end");
        }
        c.commit();
        c.setAutoCommit(true);
        step("cursor");
    }

    static void catalog(Connection c) throws SQLException {
        DatabaseMetaData m = c.getMetaData();
        List<String> names = new ArrayList<>();
        for (ResultSet r = m.getColumns(null, "public", ITEMS, null); r.next(); ) names.add(r.getString("COLUMN_NAME"));
        equal(names, COLUMNS, "columns");
        ResultSet key = m.getPrimaryKeys(null, "public", ITEMS);
        equal(key.next() && key.getString("COLUMN_NAME").equals("id"), true, "key");
        ResultSet tables = m.getTables(null, "public", "jdbc%", new String[] {"TABLE", "VIEW"});
        List<String> found = new ArrayList<>();
        while (tables.next()) found.add(tables.getString("TABLE_NAME"));
        equal(found, List.of(ITEMS, EVENTS), "tables");
        equal(m.getIndexInfo(null, "public", ITEMS, true, true).next(), true, "indexes");
        equal(m.getImportedKeys(null, "public", ITEMS).next(), false, "imported keys");
        equal(m.getExportedKeys(null, "public", ITEMS).next(), false, "exported keys");
        equal(m.getTypeInfo().next(), true, "types");
        equal(m.getSchemas().next(), true, "schemas");
        equal(m.getFunctions(null, "pg_catalog", "lower").next(), true, "functions");
        try (Statement s = c.createStatement()) {
            var d = s.executeQuery("SELECT id, price AS p FROM " + ITEMS).getMetaData();
            equal(d.getColumnTypeName(2) + d.getPrecision(2) + "," + d.getScale(2), "numeric12,2", "type of a result");
            equal(d.isNullable(1) + d.getTableName(1), java.sql.ResultSetMetaData.columnNoNulls + ITEMS, "column of a result");
        }
        step("catalog");
    }

    static void errors(Connection c) throws Exception {
        try (Statement s = c.createStatement()) {
            fails("23505", () -> { PreparedStatement p = c.prepareStatement(INSERT); set(p, row(c, 7)); p.executeUpdate(); }, "the same key twice");
            fails("42P01", () -> s.executeQuery("SELECT * FROM nowhere"), "no such table");
            c.setAutoCommit(false);
            fails("22012", () -> s.executeQuery("SELECT 1 / 0"), "division by zero");
            fails("25P02", () -> s.executeQuery("SELECT 1"), "a failed block");
            c.rollback();
            var save = c.setSavepoint();
            s.executeUpdate("DELETE FROM " + ITEMS);
            c.rollback(save);
            ResultSet r = s.executeQuery("SELECT count(*) FROM " + ITEMS);
            equal(r.next() ? r.getInt(1) : -1, 253, "rows after a savepoint");
            c.commit();
            c.setAutoCommit(true);
        }
        step("errors");
    }

    static void push(Connection other) throws Exception {
        try (Connection c = connect("options", "-c auto_offset_reset=earliest"); Statement s = c.createStatement()) {
            c.setAutoCommit(false);
            s.setFetchSize(1);
            ResultSet r = s.executeQuery("SELECT n, word FROM " + EVENTS + " EMIT CHANGES");
            List<Integer> seen = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                if (i == 3) other.createStatement().executeUpdate("INSERT INTO " + EVENTS + " VALUES (4, 'four')");
                r.next();
                seen.add(r.getInt(1));
            }
            Collections.sort(seen);
            equal(seen, List.of(1, 2, 3, 4), "pushed");
            r.close();
            c.rollback();
            step("push");

            c.setAutoCommit(true);
            s.setFetchSize(0);
            s.setQueryTimeout(1); // a thread of the driver sends the CancelRequest
            fails("57014", () -> s.executeQuery("SELECT n FROM " + EVENTS + " WHERE n > 4 EMIT CHANGES"), "cancel");
            s.setQueryTimeout(0);
            equal(ints(s.executeQuery("SELECT 1")), List.of(1), "after cancel");
            step("cancel");
        }
    }

    static void listen(Connection c) throws SQLException {
        try (Statement s = c.createStatement(); Connection other = connect(); Statement notify = other.createStatement()) {
            s.execute("LISTEN jdbc_news");
            notify.execute("NOTIFY jdbc_news, 'hello'");
            PGNotification[] got = c.unwrap(PGConnection.class).getNotifications(10_000);
            equal(got.length, 1, "notifications");
            equal(got[0].getName() + got[0].getParameter(), "jdbc_newshello", "notification");
        }
        step("listen");
    }
}

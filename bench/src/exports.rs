//! Exports from end to end, beside what people write by hand on the same data.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use exeat_test_servers::postgres::PostgresCluster;

use crate::process::{self, Place, exeat};
use crate::results::{Results, Wanted};
use crate::rounds::{Contender, Rounds, interleave};
use crate::setup::Setup;

/// What is exported: everything that is one value, groups, and the number of second factors.
const FIELDS: &str = "user_id,email,name,given_name,family_name,state,email_verified,created_at,\
     last_signed_in_at,groups,username,nickname,picture,locale,phone_verified,updated_at,last_ip,\
     logins_count,connection,custom_attributes,app_metadata,mfa_factor_count";

const CSV: &str = "exeat, csv";
const NDJSON: &str = "exeat, ndjson";
const PSEUDONYMIZED: &str = "exeat, csv, pseudonymize";
const BY_HAND_CSV: &str = "by hand, csv";
const BY_HAND_JSON: &str = "by hand, json";

/// Measures exports from SQLite.
///
/// # Errors
/// Something cannot be measured.
pub fn sqlite(setup: &Setup, results: &mut Results) -> anyhow::Result<()> {
    let place = sqlite_place(setup, setup.users())?;
    let database = place.data.join("exeat.db");
    // What begins with a dot is no SQL, and is read from a file.
    let script = setup.folder.join("by-hand.sql");
    let sqlite3 = |sql: &str| -> anyhow::Result<process::Taken> {
        std::fs::write(&script, sql)?;
        let read = format!(".read '{}'", script.display());
        process::run(Command::new("sqlite3").arg(&database).arg(read))
    };
    let out = setup.folder.join("by-hand");
    println!(
        "from SQLite: {} users, 22 fields with groups and counts",
        setup.users()
    );
    // The best that a person would write: whichever is faster.
    let joined = sqlite3(&sqlite_sql(&out, Shape::Csv, false))?.time;
    let correlated = sqlite3(&sqlite_sql(&out, Shape::Csv, true))?.time <= joined;
    let faster = if correlated { "subqueries" } else { "joins" };
    println!("  by hand, the faster SQL has {faster}");
    let (csv, json) = (
        sqlite_sql(&out, Shape::Csv, correlated),
        sqlite_sql(&out, Shape::Json, correlated),
    );
    let mut contenders = ours(setup, &place, setup.users());
    contenders.push(Contender::new(BY_HAND_CSV, setup.users(), || {
        Ok(sqlite3(&csv)?.time)
    }));
    contenders.push(Contender::new(BY_HAND_JSON, setup.users(), || {
        Ok(sqlite3(&json)?.time)
    }));
    let rounds = interleave(&mut contenders, setup.rounds)?;
    drop(contenders);
    for file in [&out, &script] {
        let _ = std::fs::remove_file(file);
    }
    rounds.print();
    results.note("export-sqlite", rounds.medians());
    results.claim(
        "sqlite-csv",
        "SQLite, groups and counts, CSV, against the sqlite3 CLI: times as fast",
        Wanted::AtLeast(3.0),
        rounds.ratio(BY_HAND_CSV, CSV),
        "×",
    );
    results.claim(
        "sqlite-ndjson",
        "the same as NDJSON, against json_object in the sqlite3 CLI",
        Wanted::AtLeast(3.0),
        rounds.ratio(BY_HAND_JSON, NDJSON),
        "×",
    );
    claim_plugin(results, "sqlite", &rounds);
    Ok(())
}

/// Measures exports from PostgreSQL.
///
/// # Errors
/// Something cannot be measured.
pub fn postgres(setup: &Setup, results: &mut Results) -> anyhow::Result<()> {
    let users = setup.postgres_users();
    println!("from PostgreSQL: {users} users, 22 fields with groups and counts");
    let cluster = PostgresCluster::shared();
    let url = cluster.create_database();
    let place = Place {
        data: setup.folder.join("postgres-house"),
        database: Some(url.clone()),
    };
    generate(setup, &place, users)?;
    cluster.sql_in(&url, "VACUUM ANALYZE");
    let out = setup.folder.join("by-hand");
    let psql = |sql: String| {
        let url = url.clone();
        move || {
            let mut command = cluster.psql(&url);
            Ok(process::run(command.args(["-X", "-q", "-c", &sql]))?.time)
        }
    };
    let mut contenders = ours(setup, &place, users);
    let copy = |shape| {
        format!(
            "\\copy ({}) to '{}' {}",
            postgres_sql(shape),
            out.display(),
            match shape {
                Shape::Csv => "csv header",
                Shape::Json => "",
            }
        )
    };
    contenders.push(Contender::new(BY_HAND_CSV, users, psql(copy(Shape::Csv))));
    contenders.push(Contender::new(BY_HAND_JSON, users, psql(copy(Shape::Json))));
    let rounds = interleave(&mut contenders, setup.rounds)?;
    drop(contenders);
    let _ = std::fs::remove_file(&out);
    rounds.print();
    results.note("export-postgres", rounds.medians());
    results.claim(
        "postgres-csv",
        "PostgreSQL (a quarter of the users), groups and counts, CSV, against psql \\\\copy with the best SQL: times as fast",
        Wanted::AtLeast(1.5),
        rounds.ratio(BY_HAND_CSV, CSV),
        "×",
    );
    results.claim(
        "postgres-ndjson",
        "the same as NDJSON, against row_to_json",
        Wanted::AtLeast(1.5),
        rounds.ratio(BY_HAND_JSON, NDJSON),
        "×",
    );
    Ok(())
}

fn claim_plugin(results: &mut Results, source: &str, rounds: &Rounds) {
    results.claim(
        &format!("{source}-pseudonymize"),
        "the same with pseudonymize in the sandbox, against itself without: time",
        Wanted::AtMost(1.15),
        rounds.ratio(PSEUDONYMIZED, CSV),
        "×",
    );
}

fn ours<'a>(setup: &'a Setup, place: &Place, users: u64) -> Vec<Contender<'a>> {
    let export = |name, file: &'static str, more: &'static [&'static str]| {
        let place = place.clone();
        Contender::new(name, users, move || {
            let out = setup.folder.join(file);
            let target = out.to_string_lossy();
            let args = ["export", "--tenant", "acme", "-q", "--csv-formulas", "off"];
            let args = if file.ends_with("csv") {
                &args[..]
            } else {
                &args[..4]
            };
            let mut command = exeat(&setup.exeat, &place, args);
            command.args(["--fields", FIELDS, "-o", &target]).args(more);
            let taken = process::run(&mut command)?;
            // As whoever writes by hand would: the next run writes a new file.
            std::fs::remove_file(&out)?;
            Ok(taken.time)
        })
    };
    vec![
        export(CSV, "users.csv", &[]),
        export(NDJSON, "users.ndjson", &[]),
        export(
            PSEUDONYMIZED,
            "pseudonymized.csv",
            &["--transform", "pseudonymize"],
        ),
    ]
}

/// A folder with so many users, made once.
///
/// # Errors
/// They cannot be generated.
pub fn sqlite_place(setup: &Setup, users: u64) -> anyhow::Result<Place> {
    let place = Place {
        data: setup.folder.join(format!("sqlite-{users}")),
        database: None,
    };
    let whole = place.data.join("whole");
    if !whole.exists() {
        let _ = std::fs::remove_dir_all(&place.data);
        generate(setup, &place, users)?;
        std::fs::write(&whole, "")?;
    }
    Ok(place)
}

fn generate(setup: &Setup, place: &Place, users: u64) -> anyhow::Result<()> {
    println!("  generating {users} users");
    let count = users.to_string();
    let args = ["users", "generate", "--tenant", "acme", "--count", &count];
    process::run(&mut exeat(&setup.exeat, place, &args)).context("users cannot be generated")?;
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Csv,
    Json,
}

/// The columns of both databases' statements: name and expression. `{time X}` is a time.
const COLUMNS: [(&str, &str); 22] = [
    ("user_id", "u.user_id"),
    ("email", "u.email"),
    ("name", "u.name"),
    ("given_name", "u.given_name"),
    ("family_name", "u.family_name"),
    ("state", "u.state"),
    ("email_verified", "u.email_verified"),
    ("created_at", "{time}u.created_at"),
    ("last_signed_in_at", "{time}u.last_signed_in_at"),
    ("groups", "{groups}"),
    ("username", "u.username"),
    ("nickname", "u.nickname"),
    ("picture", "u.picture"),
    ("locale", "u.locale"),
    ("phone_verified", "u.phone_verified"),
    ("updated_at", "{time}u.updated_at"),
    ("last_ip", "u.last_ip"),
    ("logins_count", "u.logins_count"),
    ("connection", "c.name"),
    ("custom_attributes", "u.custom_attributes"),
    ("app_metadata", "u.app_metadata"),
    ("mfa_factor_count", "{factors}"),
];

fn sqlite_sql(out: &Path, shape: Shape, correlated: bool) -> String {
    let expression = |sql: &str| match sql.strip_prefix("{time}") {
        Some(time) => format!("strftime('%Y-%m-%dT%H:%M:%SZ', {time} / 1000000, 'unixepoch')"),
        None => match (sql, correlated) {
            ("{groups}", true) => {
                "(SELECT group_concat(g.name) FROM memberships m JOIN groups g USING (group_id) \
                 WHERE m.tenant_id = u.tenant_id AND m.user_id = u.user_id)"
                    .to_owned()
            }
            ("{factors}", true) => "(SELECT count(*) FROM mfa_factors f WHERE f.tenant_id = u.tenant_id \
                 AND f.user_id = u.user_id)"
                .to_owned(),
            ("{groups}", false) => "g.groups".to_owned(),
            ("{factors}", false) => "coalesce(f.factors, 0)".to_owned(),
            _ => sql.to_owned(),
        },
    };
    let select = match shape {
        Shape::Csv => columns(|name, sql| format!("{} AS {name}", expression(sql))),
        Shape::Json => format!(
            "json_object({})",
            columns(|name, sql| {
                let value = expression(sql);
                match name {
                    "custom_attributes" | "app_metadata" => format!("'{name}', json({value})"),
                    _ => format!("'{name}', {value}"),
                }
            })
        ),
    };
    let joins = if correlated {
        ""
    } else {
        "LEFT JOIN (SELECT m.user_id, group_concat(g.name) AS groups FROM memberships m JOIN groups g USING (group_id) \
         WHERE m.tenant_id = 1 GROUP BY m.user_id) g ON g.user_id = u.user_id \
         LEFT JOIN (SELECT user_id, count(*) AS factors FROM mfa_factors WHERE tenant_id = 1 GROUP BY user_id) f \
         ON f.user_id = u.user_id"
    };
    let (mode, headers) = match shape {
        Shape::Csv => ("csv", "on"),
        Shape::Json => ("list", "off"),
    };
    format!(
        ".mode {mode}\n.headers {headers}\n.output {}\nSELECT {select} FROM users u \
         LEFT JOIN connections c USING (connection_id) {joins} WHERE u.tenant_id = 1 ORDER BY u.user_id;",
        out.display()
    )
}

fn postgres_sql(shape: Shape) -> String {
    let select = columns(|name, sql| {
        let value = match sql.strip_prefix("{time}") {
            Some(time) => format!("to_timestamp({time} / 1000000)"),
            None => match sql {
                "{groups}" => "g.groups".to_owned(),
                "{factors}" => "coalesce(f.factors, 0)".to_owned(),
                _ => sql.to_owned(),
            },
        };
        format!("{value} AS {name}")
    });
    // Aggregated before they are joined, in the users' order, so that all of it is merged.
    let rows = format!(
        "SELECT {select} FROM users u LEFT JOIN connections c USING (connection_id) \
         LEFT JOIN (SELECT m.tenant_id, m.user_id, string_agg(g.name, ',') AS groups FROM memberships m \
         JOIN groups g USING (group_id) WHERE m.tenant_id = 1 GROUP BY m.tenant_id, m.user_id) g \
         ON g.user_id = u.user_id \
         LEFT JOIN (SELECT user_id, count(*) AS factors FROM mfa_factors WHERE tenant_id = 1 GROUP BY user_id) f \
         ON f.user_id = u.user_id WHERE u.tenant_id = 1 ORDER BY u.user_id"
    );
    match shape {
        Shape::Csv => rows,
        Shape::Json => format!("SELECT row_to_json(r) FROM ({rows}) r"),
    }
}

fn columns(column: impl Fn(&str, &str) -> String) -> String {
    let columns: Vec<String> = COLUMNS.iter().map(|(name, sql)| column(name, sql)).collect();
    columns.join(", ")
}

/// A file of an export in the folder of a run.
///
/// # Errors
/// The export fails.
pub fn export(
    setup: &Setup,
    place: &Place,
    file: &str,
    more: &[&str],
) -> anyhow::Result<(process::Taken, PathBuf)> {
    let out = setup.folder.join(file);
    let target = out.to_string_lossy();
    let mut command = exeat(&setup.exeat, place, &["export", "--tenant", "acme", "-q"]);
    command.args(["-o", &target]).args(more);
    Ok((process::run(&mut command)?, out))
}

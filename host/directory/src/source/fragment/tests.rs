use proptest::prelude::*;

use super::*;

fn never() -> Vec<NeverColumn> {
    [("users", "secret"), ("credential", "salt")]
        .map(|(table, column)| NeverColumn {
            table: table.to_owned(),
            column: column.to_owned(),
        })
        .to_vec()
}

fn checked(text: &str, never: &[NeverColumn]) -> Result<Vec<TableRef>, String> {
    let users = TableRef {
        alias: "u".to_owned(),
        table: vec!["public".to_owned(), "users".to_owned()],
    };
    check(
        text,
        &Rules {
            never,
            tables: &[users],
            phone: false,
        },
    )
}

#[test]
fn fragments_of_every_day_pass() {
    for text in [
        "u.email",
        "u.\"E-mail\"::text",
        "u.created_at * 1000",
        "(1 + 2) * (u.a)",
        "CASE WHEN u.banned > now() THEN 'sus;pended -- x' ELSE 'it''s' END",
        "extract(epoch FROM u.created_at) * 1000000",
        "(SELECT min(a.value) FROM user_attribute a WHERE a.user_id = u.id AND a.name = 'locale')",
        "(SELECT count(*) FROM sessions AS s WHERE s.user_id = u.id)",
        "u.realm_id = (SELECT r.id FROM realm r WHERE r.name = {tenant})",
        "u.meta ->> 'name'",
        "(SELECT x.v FROM json_each_text(u.meta) x(k, v) WHERE x.k = 'a')",
        "coalesce(u.a IS DISTINCT FROM u.b, true)",
        // A column of this name in another table.
        "(SELECT o.secret FROM others o WHERE o.id = u.id)",
    ] {
        assert_eq!(checked(text, &never()).err(), None, "{text}");
    }
}

#[test]
fn what_reaches_past_the_named_columns_is_refused() {
    for (text, reason) in [
        ("", "is empty"),
        ("u.*", "has a *"),
        ("(SELECT * FROM others o)", "has a *"),
        ("(SELECT DISTINCT ON (o.a) * FROM others o)", "has a *"),
        ("u.a; DROP TABLE users", "has a semicolon"),
        ("u.a -- b", "has a comment"),
        ("u.a /* b */", "has a comment"),
        ("u.a)", "closes what"),
        ("(u.a", "opens what"),
        ("'a", "has a quote that does not end"),
        ("E'a\\'' || u.secret || 'b'", "has a text with escapes"),
        ("U&\"\\0073ecret\"", "has a text with escapes"),
        ("$$a$$", "has a '$'"),
        ("{user}", "has a placeholder other"),
        ("'{tenant}'", "has a text with escapes or a placeholder"),
        ("u.secret", "mentions users.secret"),
        ("U.SECRET", "mentions users.secret"),
        ("u.\"secret\"", "mentions users.secret"),
        ("public.users.secret", "mentions users.secret"),
        ("secret", "mentions users.secret"),
        ("secret(u)", "mentions users.secret"),
        ("x.secret", "mentions users.secret"),
        ("trim(both from u.secret)", "mentions users.secret"),
        ("(SELECT c.salt FROM credential c)", "mentions credential.salt"),
        ("(SELECT salt FROM credential)", "mentions credential.salt"),
        ("row_to_json(u)", "takes whole rows of u"),
        ("u::text", "takes whole rows of u"),
        ("trim(both from u::text)", "takes whole rows of u"),
        (
            "(SELECT credential FROM credential)",
            "takes whole rows of credential",
        ),
        ("(SELECT to_jsonb(c) FROM credential c)", "takes whole rows of c"),
        ("(TABLE users)", "writes TABLE"),
        (
            "(SELECT c.a FROM credential c(a, b))",
            "gives a table's columns other names",
        ),
        (
            "(SELECT c.a FROM others o, credential c)",
            "lists tables with a comma",
        ),
        (
            "(SELECT min(s.c) FROM (TABLE credential) AS s(a, b, c))",
            "writes TABLE",
        ),
        ("query_to_xml('SELECT 1', true, true, '')", "calls query_to_xml"),
        ("pg_read_file('x')", "calls pg_read_file"),
        ("pg_catalog.pg_read_file('x')", "calls pg_read_file"),
        ("current_setting('exeat.tenant')", "calls current_setting"),
        (
            "(SELECT h.password_hash FROM history h)",
            "mentions password_hash, which never leaves: a password",
        ),
        ("u.phone_number", "mentions phone_number, which never leaves"),
    ] {
        let refused = checked(text, &never()).unwrap_err();
        assert!(refused.starts_with(reason), "{text}: {refused}");
    }
}

#[test]
fn keys_are_columns_and_tables_are_found() {
    let column = |text| column_of(text).map(|(alias, column)| format!("{alias}.{column}"));
    assert_eq!(column("u.id").as_deref(), Some("u.id"));
    assert_eq!(column("u.id::TEXT").as_deref(), Some("u.id"));
    assert_eq!(column("u.id::varchar"), None);
    assert_eq!(column("lower(u.id)"), None);
    let tables = checked("FROM auth.users x LEFT JOIN groups ON groups.id = x.id", &[]).unwrap();
    assert_eq!(tables[0].table, ["auth", "users"]);
    assert_eq!(tables[1].alias, "groups");
}

proptest! {
    #[test]
    fn any_text_is_checked_without_a_panic(text in "[a-z'\"{}().,;:* \\-/$u\u{e9}]{0,40}") {
        let _ = checked(&text, &never());
        let _ = columns(&text);
    }
}

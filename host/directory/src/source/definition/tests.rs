use super::*;

/// The smallest definition that is one.
const SMALL: &str = r#"
name = "small"
summary = "People."
never = ["people.secret"]

[users]
from = "people p"
key = "p.id"
tenant = "p.org = {tenant}"

[fields]
email = { sql = "p.mail", filterable = true }

[groups]
from = "teams t"
key = "t.person"
where = "t.org = {tenant}"
name = "t.name"
"#;

fn refused(text: &str) -> String {
    SourceDefinition::parse(text).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn what_ships_is_taken_and_says_what_it_has() {
    for name in SourceDefinition::presets() {
        let definition = SourceDefinition::preset(name).unwrap();
        assert_eq!(definition.name(), name);
        assert!(definition.defined_fields().count() > 10);
    }
    let small = SourceDefinition::parse(SMALL).unwrap();
    let fields: Vec<&str> = small.defined_fields().map(|field| field.name.as_str()).collect();
    assert_eq!(fields, ["user_id", "email", "groups"]);
}

#[test]
fn what_a_source_lacks_is_named_with_the_source() {
    let keycloak = SourceDefinition::preset("keycloak").unwrap();
    let last_ip = catalog().field("last_ip").unwrap();
    assert_eq!(
        keycloak.check_fields(&[last_ip]).unwrap_err().to_string(),
        "the source \"keycloak\" has no last_ip; take it out of the export's fields"
    );
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let cases = [
        (
            "name = \"small\"",
            "nmae = \"small\"",
            "line 2: unknown field `nmae`",
        ),
        ("[groups]", "[gruops]", "line 14: unknown field `gruops`"),
        (
            "filterable = true }",
            "filterabel = true }",
            "line 12: unknown field `filterabel`",
        ),
        ("key = \"p.id\"", "", "line 6: missing field `key`"),
        ("email =", "e_mail =", "fields.e_mail: is no field"),
        (
            "email =",
            "password_hash =",
            "fields.password_hash: is never exported: a password hash",
        ),
        ("email =", "user_id =", "fields.user_id: is the key"),
        (
            "email =",
            "identities =",
            "fields.identities: is a table of its own",
        ),
        (
            "email =",
            "phone_last_four =",
            "fields.phone_last_four: is nothing that a filter can ask about",
        ),
        (
            "filterable = true }",
            "unit = \"seconds\" }",
            "fields.email: has a unit and is no time",
        ),
        (
            "filterable = true }",
            "unit = \"weeks\" }",
            "line 12: unknown variant `weeks`",
        ),
        (
            "p.mail",
            "p.secret",
            "fields.email.sql: mentions people.secret, which never leaves",
        ),
        ("p.mail", "to_json(p)", "fields.email.sql: takes whole rows of p"),
        ("p.mail", "p.*", "fields.email.sql: has a *"),
        (
            "p.mail",
            "p.mail; DELETE FROM people",
            "fields.email.sql: has a semicolon",
        ),
        ("p.mail", "p.mail -- all", "fields.email.sql: has a comment"),
        (
            "p.mail",
            "p.mail), (p.secret",
            "fields.email.sql: closes what it did not open",
        ),
        (
            "p.mail",
            "p.org || {tenant_id}",
            "fields.email.sql: has {tenant_id}",
        ),
        ("\"p.id\"", "\"lower(p.id)\"", "users.key: is not alias.column"),
        ("\"p.id\"", "\"p.secret\"", "users.key: mentions people.secret"),
        (
            "people p\"",
            "people p, others o\"",
            "users.from: lists tables with a comma",
        ),
        (
            "people p\"",
            "people p(id, mail)\"",
            "users.from: gives a table's columns other names",
        ),
        (
            "people p\"",
            "(SELECT 1) p\"",
            "users.from: does not begin with a table",
        ),
        (
            "p.org = {tenant}",
            "p.org = 'acme'",
            "users.tenant: does not mention {tenant}",
        ),
        ("tenant = \"p.org = {tenant}\"", "", "users: has neither tenant"),
        (
            "key = \"p.id\"",
            "key = \"p.id\"\nsingle_tenant = \"acme\"",
            "users: has both",
        ),
        (
            "t.org = {tenant}",
            "t.person IS NOT NULL",
            "groups.where: does not mention {tenant}",
        ),
        ("t.name", "t.*", "groups.name: has a *"),
        ("people.secret", "secret", "never: \"secret\" is not table.column"),
    ];
    for (right, wrong, reason) in cases {
        assert!(SMALL.contains(right), "{right}");
        let told = refused(&SMALL.replacen(right, wrong, 1));
        assert!(told.starts_with(reason), "{wrong}: {told}");
    }
}

#[test]
fn a_single_tenant_is_named_by_whoever_runs_it() {
    let supabase = SourceDefinition::preset("supabase")
        .unwrap()
        .for_single_tenant("acme");
    assert_eq!(supabase.single_tenant(), Some("acme"));
    let keycloak = SourceDefinition::preset("keycloak")
        .unwrap()
        .for_single_tenant("acme");
    assert_eq!(keycloak.single_tenant(), None);
}

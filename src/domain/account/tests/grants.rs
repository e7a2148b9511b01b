//! Grants: what is given, what is taken, and how it is spelled.

use super::*;

fn grant(schema: &str, privilege: Privilege) -> AccountStep {
    AccountStep::Grant { host: host("%"), on: GrantedOn::Schema(schema.into()), privileges: [privilege].into() }
}

fn revoke(schema: &str, privilege: Privilege) -> AccountStep {
    AccountStep::Revoke { host: host("%"), on: GrantedOn::Schema(schema.into()), rights: [privilege.into()].into() }
}

#[test]
fn grants_come_before_revokes_and_only_the_difference_moves() {
    use Privilege::{Drop, Insert, Select};
    let held: &[(&str, &[Privilege])] = &[("orders", &[Select, Drop]), ("old", &[Select])];
    let wanted: &[(&str, &[Privilege])] = &[("orders", &[Select, Insert]), ("new", &[Select])];
    let steps = plan(&desired(wanted), &with("%", account(Some(owner()), held)), &facts(Engine::MySql), ALIVE).unwrap();
    let expected = [grant("new", Select), grant("orders", Insert), revoke("old", Select), revoke("orders", Drop)];
    assert_eq!(steps, expected);
}

#[test]
fn a_grant_that_is_a_pattern_is_revoked_by_its_stored_spelling() {
    let held: &[(&str, &[Privilege])] = &[("orders_prod", &[Privilege::Select])];
    let steps = plan(&desired(held), &with("%", account(Some(owner()), held)), &facts(Engine::MySql), ALIVE).unwrap();
    assert_eq!(steps, [grant("orders\\_prod", Privilege::Select), revoke("orders_prod", Privilege::Select)]);
}

#[test]
fn additive_grants_take_nothing_away() {
    let held: &[(&str, &[Privilege])] = &[("old", &[Privilege::Select])];
    let additive = DesiredUser { revoke_surplus: false, ..desired(&[("new", &[Privilege::Select])]) };
    let steps = plan(&additive, &with("%", account(Some(owner()), held)), &facts(Engine::MySql), ALIVE).unwrap();
    assert_eq!(steps, [grant("new", Privilege::Select)]);
}

#[test]
fn grants_on_tables_and_routines_are_literal_where_those_on_schemas_are_patterns() {
    let database = || DatabaseName::parse("orders_prod").unwrap();
    let object = |name| ObjectName::parse(name).unwrap();
    let wanted: BTreeMap<Target, BTreeSet<Privilege>> = [
        (Target::Schema(database()), [Privilege::Select].into()),
        (Target::Table(database(), object("a_b")), [Privilege::Insert].into()),
        (Target::Procedure(database(), object("p_q")), [Privilege::Execute].into()),
        (Target::Function(database(), object("f_g")), [Privilege::Execute].into()),
    ]
    .into();
    let user = DesiredUser { grants: wanted, ..desired(&[]) };
    let steps = plan(&user, &with("%", account(Some(owner()), &[])), &facts(Engine::MySql), ALIVE).unwrap();
    assert_eq!(steps.len(), 4);
    let granted: Vec<_> = steps
        .into_iter()
        .filter_map(|step| if let AccountStep::Grant { on, .. } = step { Some(on) } else { None })
        .collect();
    let literal = || "orders_prod".to_owned();
    assert_eq!(
        granted,
        [
            GrantedOn::Schema("orders\\_prod".into()),
            GrantedOn::Table(literal(), "a_b".into()),
            GrantedOn::Procedure(literal(), "p_q".into()),
            GrantedOn::Function(literal(), "f_g".into()),
        ]
    );
}

#[test]
fn each_kind_of_target_takes_its_own_privileges() {
    let (database, object) = (DatabaseName::parse("orders").unwrap(), ObjectName::parse("x").unwrap());
    let table = Target::Table(database.clone(), object.clone());
    assert!(table.takes(Privilege::Select) && table.takes(Privilege::Trigger));
    assert!(!table.takes(Privilege::Execute) && !table.takes(Privilege::Event));
    let routine = Target::Procedure(database, object);
    assert!(routine.takes(Privilege::Execute) && routine.takes(Privilege::AlterRoutine));
    assert!(!routine.takes(Privilege::Select));
}

#[test]
fn with_additive_grants_nothing_is_granted_that_would_take_a_wider_grant_away() {
    use Privilege::{Insert, Select};
    let plan_beside = |pattern: &str, held: &[Privilege], revoke_surplus, facts: &ServerFacts| {
        let wanted = DesiredUser { revoke_surplus, ..desired(&[("orders_eu", &[Select])]) };
        let observed = with("%", account(Some(owner()), &[(pattern, held)]));
        plan(&wanted, &observed, facts, ALIVE)
    };
    let mysql = facts(Engine::MySql);
    for pattern in ["orders%", "orders_eu", "%", "orders\\_e_"] {
        let refused = plan_beside(pattern, &[Select, Insert], false, &mysql);
        assert!(matches!(refused, Err(Refusal::ShadowsGrant { .. })), "{pattern}: {refused:?}");
        assert!(plan_beside(pattern, &[Select], false, &mysql).is_ok(), "{pattern} opens no more");
        assert!(plan_beside(pattern, &[Select, Insert], true, &mysql).is_ok(), "{pattern} is revoked anyway");
    }
    for pattern in ["orders\\_eu", "shop%", "orders\\_%x"] {
        assert!(plan_beside(pattern, &[Select, Insert], false, &mysql).is_ok(), "{pattern}");
    }
    let additive = DesiredUser { revoke_surplus: false, ..desired(&[("orders_eu", &[Select])]) };
    // The narrowest of those that match is the one that counts, whatever it is called.
    let beside =
        |held: &[(&str, &[Privilege])]| plan(&additive, &with("%", account(Some(owner()), held)), &mysql, ALIVE);
    assert!(beside(&[("orders\\_eu", &[Select]), ("orders%", &[Select, Insert])]).is_ok(), "it is shadowed already");
    assert!(beside(&[("orders\\_e%", &[Select]), ("orders_eu", &[Select, Insert])]).is_ok(), "by another one already");
    assert!(beside(&[("orders\\_e%", &[Insert]), ("orders_eu", &[Select])]).is_err());
    let foreign = with("%", account(None, &[("orders%", &[Insert])]));
    let refused = plan(&additive, &foreign, &mysql, ALIVE);
    assert!(matches!(refused, Err(Refusal::Foreign { .. })), "whose it is comes first: {refused:?}");
    let literal = ServerFacts { partial_revokes: true, ..mysql };
    assert!(plan_beside("orders%", &[Select, Insert], false, &literal).is_ok(), "no pattern there");
}

//! Roles, and what an account holds beyond the spec.

use super::*;

fn roles(names: &[&str]) -> BTreeSet<RoleName> {
    names.iter().map(|name| RoleName::parse(name).unwrap()).collect()
}

/// A catalogue with an account of ours and these roles: name, what it holds, roles that it holds.
fn with_roles(account: ObservedAccount, roles: &[(&str, Grants, &[&str])]) -> Catalogue {
    let of = |(name, grants, held): &(&str, Grants, &[&str])| {
        let held = held.iter().map(|name| (role(name), false)).collect();
        (role(name), ObservedAccount { grants: grants.clone(), roles: held, ..self::account(None, &[]) })
    };
    Catalogue { roles: roles.iter().map(of).collect(), ..catalogue(&with("%", account)) }
}

#[test]
fn roles_are_granted_and_made_default_and_others_taken_away() {
    let wanted = DesiredUser { roles: roles(&["reader"]), ..desired(&[]) };
    let harmless = on(GrantedOn::Schema("orders".into()), "SELECT");
    let mut held = account(Some(owner()), &[]);
    held.roles = [(role("old"), false), (role("everybodys"), false)].into();
    held.default_roles = [role("old")].into();
    let seen = Catalogue {
        mandatory_roles: [role("everybodys")].into(),
        ..with_roles(held, &[("reader", harmless.clone(), &[])])
    };
    assert_eq!(
        super::super::plan(&wanted, &seen, &facts(Engine::MySql), ALIVE).unwrap(),
        [
            AccountStep::GrantRoles { host: host("%"), roles: [role("reader")].into() },
            AccountStep::SetDefaultRoles { host: host("%"), roles: [role("reader")].into() },
            AccountStep::RevokeRoles { host: host("%"), roles: [role("old")].into() },
        ],
        "nobody can be rid of a mandatory role"
    );
    let mut well = account(Some(owner()), &[]);
    (well.roles, well.default_roles) = ([(role("reader"), false)].into(), [role("reader")].into());
    let seen = with_roles(well.clone(), &[("reader", harmless.clone(), &[])]);
    assert_eq!(super::super::plan(&wanted, &seen, &facts(Engine::MySql), ALIVE), Ok(vec![]));
    well.roles = [(role("reader"), true)].into();
    let seen = with_roles(well, &[("reader", harmless, &[])]);
    let steps = super::super::plan(&wanted, &seen, &facts(Engine::MySql), ALIVE).unwrap();
    assert!(matches!(steps[0], AccountStep::RevokeRoles { .. }), "it may not pass the role on: {steps:?}");
}

#[test]
fn a_role_that_opens_too_much_is_refused_through_whatever_it_is_had() {
    let wanted = DesiredUser { roles: roles(&["reader"]), ..desired(&[]) };
    let too_much = [
        on(GrantedOn::Server, "PROCESS"),
        on(GrantedOn::Server, "CONNECTION_ADMIN"),
        on(GrantedOn::Server, "SELECT"),
        on(GrantedOn::Schema("orders".into()), "GRANT OPTION"),
        on(GrantedOn::Table("orders".into(), "t".into()), "GRANT OPTION"),
        on(GrantedOn::Schema("mysql".into()), "SELECT"),
        on(GrantedOn::Schema("my%".into()), "SELECT"),
        on(GrantedOn::Schema("%".into()), "SELECT"),
        on(GrantedOn::Schema("MYSQ_".into()), "SELECT"),
        on(GrantedOn::Table("mysql".into(), "user".into()), "SELECT"),
        on(GrantedOn::Procedure("sys".into(), "p".into()), "EXECUTE"),
    ];
    for grants in too_much {
        let chain: [(&str, Grants, &[&str]); 3] = [
            ("reader", Grants::new(), &["middle"]),
            ("middle", Grants::new(), &["reader", "deep"]),
            ("deep", grants.clone(), &[]),
        ];
        let seen = with_roles(account(Some(owner()), &[]), &chain);
        let refusal = super::super::plan(&wanted, &seen, &facts(Engine::MySql), ALIVE).unwrap_err();
        assert!(
            matches!(&refusal, Refusal::RoleTooStrong { through, .. } if through == "deep"),
            "{grants:?}: {refusal}"
        );
    }
    let through_rds: [(&str, Grants, &[&str]); 2] =
        [("reader", Grants::new(), &["rds_superuser_role"]), ("rds_superuser_role", Grants::new(), &[])];
    let refusal = super::super::plan(
        &wanted,
        &with_roles(account(Some(owner()), &[]), &through_rds),
        &facts(Engine::MySql),
        ALIVE,
    );
    assert!(matches!(refusal, Err(Refusal::RoleTooStrong { .. })), "{refusal:?}");
    let refusal =
        super::super::plan(&wanted, &with_roles(account(Some(owner()), &[]), &[]), &facts(Engine::MySql), ALIVE);
    assert!(matches!(refusal, Err(Refusal::NoSuchRole { .. })), "{refusal:?}");
    for name in ["rds_superuser_role", "RDS_x", "AWS_LAMBDA_ACCESS", "mysql.session", "root", "PUBLIC"] {
        assert!(RoleName::parse(name).is_err(), "{name}");
    }
}

#[test]
fn a_role_that_became_too_strong_is_taken_away_from_our_accounts_alone() {
    let wanted = DesiredUser { roles: roles(&["reader"]), ..desired(&[]) };
    let strong: [(&str, Grants, &[&str]); 2] =
        [("reader", on(GrantedOn::Server, "FILE"), &[]), ("fine", Grants::new(), &[])];
    let held = |mark: Option<Owner>| {
        let mut account = account(mark, &[]);
        account.roles = [(role("reader"), false), (role("fine"), false)].into();
        with_roles(account, &strong)
    };
    assert_eq!(
        plan_withdrawal(&wanted, &held(Some(owner())), &facts(Engine::MySql), ALIVE),
        [AccountStep::RevokeRoles { host: host("%"), roles: [role("reader")].into() }]
    );
    assert_eq!(plan_withdrawal(&wanted, &held(None), &facts(Engine::MySql), ALIVE), []);
}

#[test]
fn mariadb_has_one_default_role() {
    let two = DesiredUser { roles: roles(&["a", "b"]), ..desired(&[]) };
    let refusal = super::super::plan(&two, &Catalogue::default(), &facts(Engine::MariaDb), ALIVE).unwrap_err();
    assert_eq!(refusal, Refusal::OneDefaultRole);
}

#[test]
fn rights_beyond_the_list_are_taken_away() {
    let mut held = account(Some(owner()), &[]);
    held.grants = on(GrantedOn::Server, "PROCESS");
    held.grants.extend(on(GrantedOn::Schema("orders".into()), "GRANT OPTION"));
    held.grants.extend(on(GrantedOn::Column("o".into(), "t".into(), "c".into()), "SELECT"));
    let steps = plan(&desired(&[]), &with("%", held.clone()), &facts(Engine::MySql), ALIVE).unwrap();
    assert_eq!(steps.len(), 3, "{steps:?}");
    assert!(steps.iter().all(|step| matches!(step, AccountStep::Revoke { .. })));
    let additive = DesiredUser { revoke_surplus: false, ..desired(&[]) };
    assert_eq!(plan(&additive, &with("%", held), &facts(Engine::MySql), ALIVE), Ok(vec![]));
}

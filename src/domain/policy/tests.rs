use proptest::prelude::*;

use super::*;

fn arn(user: &str) -> ConnectArn {
    ConnectArn::new(
        "aws",
        "us-east-1",
        "123456789012",
        "db-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        &Username::parse(user).unwrap(),
    )
}

fn arns(users: &[&str]) -> Resources {
    users.iter().map(|user| arn(user)).collect()
}

fn many(count: usize) -> Resources {
    (0..count).map(|index| arn(&format!("app_{index:05}"))).collect()
}

fn home() -> PolicyHome {
    PolicyHome {
        principal: "arn:aws:iam::123456789012:role/shop-app".parse().unwrap(),
        path: "/iamdb/c1/".into(),
        cluster: "0a1b2c3d-4e5f".into(),
    }
}

fn ours(resources: &Resources) -> ObservedPolicy {
    ObservedPolicy { is_ours: true, resources: Some(resources.clone()), other_versions: vec![] }
}

fn observed(policies: &[(usize, ObservedPolicy)], attached: &[usize]) -> ObservedPolicies {
    ObservedPolicies { policies: policies.iter().cloned().collect(), attached: attached.iter().copied().collect() }
}

#[test]
fn the_document_of_one_user_is_the_one_of_the_aws_page() {
    assert_eq!(
        document(&arns(&["jane_doe"])),
        r#"{"Statement":[{"Action":"rds-db:connect","Effect":"Allow","Resource":["arn:aws:rds-db:us-east-1:123456789012:dbuser:db-ABCDEFGHIJKLMNOPQRSTUVWXYZ/jane_doe"]}],"Version":"2012-10-17"}"#
    );
}

#[test]
fn a_withdrawal_takes_away_and_gives_nothing() {
    let foreign = ObservedPolicy { is_ours: false, resources: None, other_versions: vec![] };
    let seen = observed(&[(1, ours(&arns(&["a", "b"]))), (2, foreign.clone())], &[]);
    assert_eq!(
        plan_withdrawal(&home(), &arns(&["b", "new"]), &seen, MANAGED_POLICY_LIMIT),
        [PolicyStep::Replace { number: 1, resources: arns(&["b"]) }]
    );
    let seen = observed(&[(1, foreign)], &[1]);
    assert_eq!(plan_withdrawal(&home(), &arns(&["new"]), &seen, MANAGED_POLICY_LIMIT), []);
    let seen = observed(&[(1, ours(&arns(&["a"])))], &[1]);
    assert_eq!(
        plan_withdrawal(&home(), &Resources::new(), &seen, MANAGED_POLICY_LIMIT),
        [PolicyStep::Detach { number: 1 }, PolicyStep::Delete { number: 1 }]
    );
}

#[test]
fn the_four_shapes_of_the_aws_page_can_be_written() {
    let id: ResourceId = "db-ABCDEFGHIJKL01234".parse().unwrap();
    let user = Username::parse("jane_doe").unwrap();
    let of = |server, user| ConnectArn::of_scope("aws", "us-east-2", "123456789012", server, user).as_str().to_owned();
    let start = "arn:aws:rds-db:us-east-2:123456789012:dbuser:";
    assert_eq!(of(Some(&id), Some(&user)), format!("{start}db-ABCDEFGHIJKL01234/jane_doe"));
    assert_eq!(of(Some(&id), None), format!("{start}db-ABCDEFGHIJKL01234/*"));
    assert_eq!(of(None, Some(&user)), format!("{start}*/jane_doe"));
    assert_eq!(of(None, None), format!("{start}*/*"));
    let two: Resources = ["jane_doe", "mary_roe"]
        .map(|name| ConnectArn::of_scope("aws", "us-east-2", "1", Some(&id), Some(&Username::parse(name).unwrap())))
        .into();
    assert_eq!(documents(&two, MANAGED_POLICY_LIMIT).len(), 1, "several users share a document");
}

#[test]
fn resource_ids_are_not_identifiers() {
    for text in ["db-ABC123", "cluster-ABC", "prx-0a1b2c"] {
        assert!(text.parse::<ResourceId>().is_ok(), "{text}");
    }
    for text in ["orders", "db-", "db-a/b", "*", "db-*", ""] {
        assert_eq!(text.parse::<ResourceId>(), Err(NotAResourceId), "{text}");
    }
}

#[test]
fn a_document_is_read_back_and_any_other_form_is_not_ours() {
    assert_eq!(parse(&document(&arns(&["a", "b"]))), Some(arns(&["a", "b"])));
    let by_hand = document(&arns(&["a"])).replace("\"Allow\"", "\"Allow\",\"Sid\":\"x\"");
    assert_eq!(parse(&by_hand), None);
    assert_eq!(parse("{}"), None);
    assert_eq!(parse("not json"), None);
}

#[test]
fn the_first_user_creates_and_attaches_and_the_last_detaches_and_deletes() {
    let one = arns(&["a"]);
    assert_eq!(
        plan(&home(), &one, &ObservedPolicies::default(), MANAGED_POLICY_LIMIT).unwrap(),
        [PolicyStep::Create { number: 1, resources: one.clone() }, PolicyStep::Attach { number: 1 }]
    );
    assert_eq!(
        plan(&home(), &Resources::new(), &observed(&[(1, ours(&one))], &[1]), MANAGED_POLICY_LIMIT).unwrap(),
        [PolicyStep::Detach { number: 1 }, PolicyStep::Delete { number: 1 }]
    );
}

#[test]
fn converged_policies_need_no_step() {
    let two = arns(&["a", "b"]);
    assert_eq!(plan(&home(), &two, &observed(&[(1, ours(&two))], &[1]), MANAGED_POLICY_LIMIT), Ok(vec![]));
    assert_eq!(plan(&home(), &Resources::new(), &ObservedPolicies::default(), MANAGED_POLICY_LIMIT), Ok(vec![]));
}

#[test]
fn a_policy_created_but_not_attached_is_attached() {
    let one = arns(&["a"]);
    assert_eq!(
        plan(&home(), &one, &observed(&[(1, ours(&one))], &[]), MANAGED_POLICY_LIMIT).unwrap(),
        [PolicyStep::Attach { number: 1 }]
    );
}

#[test]
fn a_document_changed_by_hand_is_written_again() {
    let by_hand = ObservedPolicy { resources: None, ..ours(&arns(&[])) };
    assert_eq!(
        plan(&home(), &arns(&["a"]), &observed(&[(1, by_hand)], &[1]), MANAGED_POLICY_LIMIT).unwrap(),
        [PolicyStep::Replace { number: 1, resources: arns(&["a"]) }]
    );
}

#[test]
fn at_five_versions_the_oldest_other_goes_first() {
    let full =
        ObservedPolicy { other_versions: ["v1", "v2", "v3", "v4"].map(String::from).into(), ..ours(&arns(&["a"])) };
    assert_eq!(
        plan(&home(), &arns(&["a", "b"]), &observed(&[(1, full)], &[1]), MANAGED_POLICY_LIMIT).unwrap(),
        [
            PolicyStep::DeleteVersion { number: 1, version: "v1".into() },
            PolicyStep::Replace { number: 1, resources: arns(&["a", "b"]) }
        ]
    );
}

#[test]
fn a_foreign_policy_of_our_name_is_refused() {
    let foreign = ObservedPolicy { is_ours: false, ..ours(&arns(&["a"])) };
    let refusal = plan(&home(), &arns(&["a"]), &observed(&[(1, foreign)], &[]), MANAGED_POLICY_LIMIT).unwrap_err();
    assert_eq!(refusal.arn, home().arn(1));
}

#[test]
fn names_lead_back_to_numbers() {
    assert_eq!(home().number(&home().arn(1)), Some(1));
    assert_eq!(home().number(&home().arn(12)), Some(12));
    assert_eq!(home().number(&home().arn(1).replace("-1", "-01")), None);
    assert_eq!(home().number("arn:aws:iam::aws:policy/AdministratorAccess"), None);
    assert!(home().arn(1).starts_with("arn:aws:iam::123456789012:policy/iamdb/c1/iamdb-0a1b2c3d-"));
}

#[test]
fn two_hundred_users_spill_into_further_documents_that_all_fit() {
    let packed = pack(&many(200), &BTreeMap::new(), MANAGED_POLICY_LIMIT);
    assert_eq!(packed.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    assert!(packed.values().all(|resources| document(resources).len() <= MANAGED_POLICY_LIMIT));
}

proptest! {
    #[test]
    fn packing_is_stable_and_complete(before in 0_usize..150, removed in prop::collection::btree_set(0_usize..150, 0..20), added in 0_usize..60) {
        let first = many(before);
        let packed = pack(&first, &BTreeMap::new(), MANAGED_POLICY_LIMIT);
        prop_assert_eq!(&pack(&first, &packed, MANAGED_POLICY_LIMIT), &packed, "nothing moves when nothing changed");
        let wanted: Resources = many(before + added).into_iter().enumerate().filter(|(index, _)| !removed.contains(index)).map(|(_, arn)| arn).collect();
        let again = pack(&wanted, &packed, MANAGED_POLICY_LIMIT);
        let all: Resources = again.values().flatten().cloned().collect();
        prop_assert_eq!(&all, &wanted);
        prop_assert_eq!(again.values().map(BTreeSet::len).sum::<usize>(), wanted.len(), "each in one document only");
        for (number, resources) in &again {
            prop_assert!(document(resources).len() <= MANAGED_POLICY_LIMIT);
            for arn in resources {
                if let Some((was, _)) = packed.iter().find(|(_, resources)| resources.contains(arn)) {
                    prop_assert_eq!(was, number, "what was placed stays");
                }
            }
        }
    }
}

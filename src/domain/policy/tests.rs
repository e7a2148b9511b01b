use proptest::prelude::*;

use super::*;

pub(super) fn arn(user: &str) -> ConnectArn {
    ConnectArn::new(
        "aws",
        "us-east-1",
        "123456789012",
        "db-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        &Username::parse(user).unwrap(),
    )
}

pub(super) fn arns(users: &[&str]) -> Resources {
    users.iter().map(|user| arn(user)).collect()
}

pub(super) fn many(count: usize) -> Resources {
    (0..count).map(|index| arn(&format!("app_{index:05}"))).collect()
}

pub(super) fn home() -> PolicyHome {
    PolicyHome {
        principal: "arn:aws:iam::123456789012:role/shop-app".parse().unwrap(),
        place: Place::Path("/iamdb/c1/".into()),
        cluster: "0a1b2c3d-4e5f".into(),
    }
}

fn inline_home() -> PolicyHome {
    PolicyHome { place: Place::Inline, ..home() }
}

const LIMIT: Budget = Budget::of_documents(MANAGED_POLICY_LIMIT);

fn ours(resources: &Resources) -> ObservedPolicy {
    let tags = tags_of_new(&home(), &Tags::new());
    ObservedPolicy { is_ours: true, resources: Some(resources.clone()), tags, ..ObservedPolicy::default() }
}

fn foreign() -> ObservedPolicy {
    ObservedPolicy::default()
}

fn observed(policies: &[(usize, ObservedPolicy)], attached: &[usize]) -> ObservedPolicies {
    ObservedPolicies {
        policies: policies.iter().cloned().collect(),
        attached: attached.iter().copied().collect(),
        foreign_inline: 0,
    }
}

fn wanted(resources: &Resources) -> Wanted {
    Wanted { resources: resources.clone(), tags: Some(Tags::new()) }
}

fn steps(resources: &Resources, observed: &ObservedPolicies) -> Vec<PolicyStep> {
    plan(&home(), &wanted(resources), observed, LIMIT).unwrap().steps
}

fn create(number: usize, resources: &Resources) -> PolicyStep {
    PolicyStep::Create { number, resources: resources.clone(), tags: tags_of_new(&home(), &Tags::new()) }
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
    let withdrawal = |wanted: &Resources, seen: &ObservedPolicies| plan_withdrawal(&home(), wanted, seen, LIMIT);
    let seen = observed(&[(1, ours(&arns(&["a", "b"]))), (2, foreign())], &[]);
    assert_eq!(withdrawal(&arns(&["b", "new"]), &seen), [PolicyStep::Replace { number: 1, resources: arns(&["b"]) }]);
    assert_eq!(withdrawal(&arns(&["new"]), &observed(&[(1, foreign())], &[1])), []);
    assert_eq!(
        withdrawal(&Resources::new(), &observed(&[(1, ours(&arns(&["a"])))], &[1])),
        [PolicyStep::Detach { number: 1 }, PolicyStep::Delete { number: 1 }]
    );
}

#[test]
fn a_withdrawal_hides_no_policy_behind_a_gap() {
    // The principal is gone, so nothing is attached, and the second policy could be found by its number alone.
    let seen = observed(&[(1, ours(&arns(&["a"]))), (2, ours(&arns(&["b"])))], &[]);
    assert_eq!(
        plan_withdrawal(&home(), &arns(&["b"]), &seen, LIMIT),
        [PolicyStep::Replace { number: 1, resources: arns(&["b"]) }, PolicyStep::Delete { number: 2 }]
    );
}

#[test]
fn the_four_shapes_of_the_aws_page_can_be_written() {
    let id = "db-ABCDEFGHIJKL01234";
    let user = Username::parse("jane_doe").unwrap();
    let of = |server, user| ConnectArn::of_scope("aws", "us-east-2", "123456789012", server, user).as_str().to_owned();
    let start = "arn:aws:rds-db:us-east-2:123456789012:dbuser:";
    assert_eq!(of(Some(id), Some(&user)), format!("{start}db-ABCDEFGHIJKL01234/jane_doe"));
    assert_eq!(of(Some(id), None), format!("{start}db-ABCDEFGHIJKL01234/*"));
    assert_eq!(of(None, Some(&user)), format!("{start}*/jane_doe"));
    assert_eq!(of(None, None), format!("{start}*/*"));
    let two: Resources = ["jane_doe", "mary_roe"]
        .map(|name| ConnectArn::of_scope("aws", "us-east-2", "1", Some(id), Some(&Username::parse(name).unwrap())))
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
    assert_eq!(size("{ \"a\":\n 1 }"), 7, "white space does not count");
}

#[test]
fn the_first_user_creates_and_attaches_and_the_last_detaches_and_deletes() {
    let one = arns(&["a"]);
    assert_eq!(steps(&one, &ObservedPolicies::default()), [create(1, &one), PolicyStep::Attach { number: 1 }]);
    assert_eq!(
        steps(&Resources::new(), &observed(&[(1, ours(&one))], &[1])),
        [PolicyStep::Detach { number: 1 }, PolicyStep::Delete { number: 1 }]
    );
}

#[test]
fn converged_policies_need_no_step() {
    let two = arns(&["a", "b"]);
    assert_eq!(steps(&two, &observed(&[(1, ours(&two))], &[1])), []);
    assert_eq!(steps(&Resources::new(), &ObservedPolicies::default()), []);
}

#[test]
fn a_policy_created_but_not_attached_is_attached() {
    let one = arns(&["a"]);
    assert_eq!(steps(&one, &observed(&[(1, ours(&one))], &[])), [PolicyStep::Attach { number: 1 }]);
}

#[test]
fn a_document_changed_by_hand_is_written_again() {
    let by_hand = ObservedPolicy { resources: None, ..ours(&arns(&[])) };
    assert_eq!(
        steps(&arns(&["a"]), &observed(&[(1, by_hand)], &[1])),
        [PolicyStep::Replace { number: 1, resources: arns(&["a"]) }]
    );
}

#[test]
fn at_five_versions_the_oldest_other_goes_first() {
    let full =
        ObservedPolicy { other_versions: ["v1", "v2", "v3", "v4"].map(String::from).into(), ..ours(&arns(&["a"])) };
    assert_eq!(
        steps(&arns(&["a", "b"]), &observed(&[(1, full)], &[1])),
        [
            PolicyStep::DeleteVersion { number: 1, version: "v1".into() },
            PolicyStep::Replace { number: 1, resources: arns(&["a", "b"]) }
        ]
    );
}

#[test]
fn a_foreign_policy_of_our_name_is_refused() {
    let foreign = ObservedPolicy { is_ours: false, ..ours(&arns(&["a"])) };
    let seen = observed(&[(1, foreign)], &[]);
    let refusal = plan(&home(), &wanted(&arns(&["a"])), &seen, LIMIT).unwrap_err();
    assert_eq!(refusal.arn, home().id(1));
}

#[test]
fn a_document_that_empties_is_filled_from_the_last_before_that_goes() {
    let seen = observed(&[(1, ours(&arns(&["a"]))), (2, ours(&arns(&["b"]))), (3, ours(&arns(&["c"])))], &[1, 2, 3]);
    assert_eq!(
        steps(&arns(&["b", "c"]), &seen),
        [
            PolicyStep::Replace { number: 1, resources: arns(&["c"]) },
            PolicyStep::Detach { number: 3 },
            PolicyStep::Delete { number: 3 }
        ]
    );
}

#[test]
fn tags_are_changed_where_the_document_is_not() {
    let seen = observed(&[(1, ours(&arns(&["a"])))], &[1]);
    let tagged = Wanted { tags: Some([("team".to_owned(), "shop".to_owned())].into()), ..wanted(&arns(&["a"])) };
    let plan = plan(&home(), &tagged, &seen, LIMIT).unwrap();
    let [PolicyStep::Tag { number: 1, tags }] = plan.steps.as_slice() else { panic!("{plan:?}") };
    assert_eq!(tags.get("team").map(String::as_str), Some("shop"));
}

#[test]
fn inline_policies_make_room_before_they_take_it() {
    let seen = observed(&[(1, ours(&arns(&["a", "b"]))), (2, ours(&arns(&["c"])))], &[1, 2]);
    let budget = Budget { document: document(&arns(&["a", "b"])).len(), total: Some(1_000) };
    let fewer = super::plan(&inline_home(), &wanted(&arns(&["a", "d"])), &seen, budget).unwrap();
    assert_eq!(
        fewer.steps,
        [PolicyStep::Remove { number: 2 }, PolicyStep::Put { number: 1, resources: arns(&["a", "d"]) }]
    );
    let plan = plan(&inline_home(), &wanted(&arns(&["a", "d", "e"])), &seen, budget).unwrap();
    assert_eq!(
        plan.steps,
        [
            PolicyStep::Put { number: 1, resources: arns(&["a", "d"]) },
            PolicyStep::Put { number: 2, resources: arns(&["e"]) },
        ]
    );
    let plan = super::plan(&inline_home(), &Wanted::default(), &seen, budget).unwrap();
    assert_eq!(plan.steps, [PolicyStep::Remove { number: 1 }, PolicyStep::Remove { number: 2 }]);
}

/// What IAM may have of a home: ours and documents of other forms, attached or not, with gaps and with more versions.
fn anything() -> impl Strategy<Value = ObservedPolicies> {
    let resources = prop::collection::btree_set(0_usize..40, 0..25);
    let policy = (prop::option::weighted(0.9, resources), 0_usize..5, any::<bool>());
    prop::collection::btree_map(1_usize..6, policy, 0..5).prop_map(|all| {
        let mut observed = ObservedPolicies::default();
        for (number, (resources, versions, is_attached)) in all {
            let resources = resources.map(|it| it.into_iter().map(|index| arn(&format!("app_{index:05}"))).collect());
            let other_versions = (1..=versions).map(|n| format!("v{n}")).collect();
            observed.policies.insert(number, ObservedPolicy { resources, other_versions, ..ours(&arns(&[])) });
            if is_attached {
                observed.attached.insert(number);
            }
        }
        observed
    })
}

/// The indices of the users that are wanted.
fn some() -> impl Strategy<Value = Resources> {
    prop::collection::btree_set(0_usize..40, 0..40)
        .prop_map(|it| it.into_iter().map(|index| arn(&format!("app_{index:05}"))).collect())
}

proptest! {
    #[test]
    fn a_plan_leads_from_anywhere_to_what_is_wanted(seen in anything(), resources in some(), limit in 400_usize..3_000, is_inline in any::<bool>()) {
        let home = if is_inline { inline_home() } else { home() };
        let limit = Budget { document: limit, total: is_inline.then_some(10_240) };
        let mut now = seen;
        if is_inline {
            now.attached = now.policies.keys().copied().collect();
        }
        let held_before: Vec<ConnectArn> = resources.iter().filter(|arn| now.allowing(arn).is_some()).cloned().collect();
        for step in plan(&home, &wanted(&resources), &now, limit).unwrap().steps {
            if let PolicyStep::Replace { number, .. } | PolicyStep::DeleteVersion { number, .. } = step {
                prop_assert!(now.policies[&number].other_versions.len() < VERSION_LIMIT, "a sixth version");
            }
            if let PolicyStep::Create { number, resources, .. } | PolicyStep::Replace { number, resources } | PolicyStep::Put { number, resources } = &step {
                prop_assert!(is_inline || document(resources).len() <= limit.document);
                let is_new = matches!(step, PolicyStep::Create { .. });
                prop_assert!(!is_new || !now.policies.contains_key(number), "made twice");
            }
            now.enter(&step);
            for arn in &held_before {
                prop_assert!(now.allowing(arn).is_some(), "{arn:?} is without access after {step:?}");
            }
        }
        let named: Resources = now.named().cloned().collect();
        prop_assert_eq!(&named, &resources);
        prop_assert!(resources.iter().all(|arn| now.allowing(arn).is_some()));
        if !is_inline {
            prop_assert_eq!(now.policies.keys().copied().collect::<Vec<_>>(), (1..=now.policies.len()).collect::<Vec<_>>(), "no gap");
        }
        prop_assert_eq!(plan(&home, &wanted(&resources), &now, limit).unwrap().steps, []);
    }

    #[test]
    fn a_crash_after_any_step_hides_nothing(seen in anything(), resources in some()) {
        // Where numbers begin without a gap, they do so after each step, but for what is attached.
        let mut now = seen;
        let numbers: Vec<usize> = now.policies.keys().copied().collect();
        let policies = now.policies.into_values().enumerate().map(|(index, policy)| (index + 1, policy));
        now.policies = policies.collect();
        now.attached = numbers.iter().enumerate().filter(|(_, number)| now.attached.contains(number)).map(|(index, _)| index + 1).collect();
        for step in plan(&home(), &wanted(&resources), &now, Budget::of_documents(1_000)).unwrap().steps {
            now.enter(&step);
            let beyond = now.attached.last().map_or(1, |last| last + 1);
            let absent = (beyond..=beyond + now.policies.len()).find(|number| !now.policies.contains_key(number)).unwrap_or(beyond);
            prop_assert!(now.policies.keys().all(|&number| number < absent), "{step:?} hides a policy: {:?}", now.policies.keys());
        }
    }

    #[test]
    fn no_step_is_on_a_foreign_policy(seen in anything(), at in prop::collection::btree_set(1_usize..6, 1..3), resources in some(), is_inline in any::<bool>()) {
        let mut now = seen;
        for &number in &at {
            now.policies.insert(number, foreign());
        }
        prop_assert!(plan(&home(), &wanted(&resources), &now, LIMIT).is_err());
        let home = if is_inline { inline_home() } else { home() };
        if is_inline {
            now.attached = now.policies.keys().copied().collect();
        }
        let mut after = now.clone();
        for step in plan_withdrawal(&home, &resources, &now, LIMIT) {
            after.enter(&step);
        }
        for number in &at {
            prop_assert_eq!(&after.policies[number], &now.policies[number]);
        }
        prop_assert!(after.named().all(|arn| resources.contains(arn)), "what is not wanted stays");
        let gained = |arn: &ConnectArn| after.allowing(arn).is_some() && now.allowing(arn).is_none();
        prop_assert!(!resources.iter().any(gained), "a withdrawal gives something");
    }
}

//! Packing: as few documents as fit, and nothing moves without need.

use std::collections::{BTreeMap, BTreeSet};

use super::{ConnectArn, Resources, document};
use crate::domain::arn::PrincipalKind;

/// Characters that a managed policy may have, white space not counted, where the account's quota is not known.
pub const MANAGED_POLICY_LIMIT: usize = 6_144;

/// Characters that all inline policies of a principal may have together.
#[must_use]
pub const fn inline_quota(kind: PrincipalKind) -> usize {
    match kind {
        PrincipalKind::Role => 10_240,
        PrincipalKind::Group => 5_120,
        PrincipalKind::User => 2_048,
    }
}

/// How much fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Characters of one document.
    pub document: usize,
    /// Characters of all documents together; none where each stands for itself.
    pub total: Option<usize>,
}

impl Budget {
    /// Documents of this size, as many as it takes.
    #[must_use]
    pub const fn of_documents(document: usize) -> Self {
        Self { document, total: None }
    }
}

/// Documents by number, and what found no room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) documents: BTreeMap<usize, Resources>,
    pub(super) left_over: Resources,
}

/// As few documents as hold `wanted`, as a principal without any policy gets them.
#[must_use]
pub fn documents(wanted: &Resources, limit: usize) -> Vec<String> {
    pack(wanted, &BTreeMap::new(), Budget::of_documents(limit)).documents.values().map(document).collect()
}

/// A document while it is filled.
#[derive(Default)]
struct Open {
    resources: Resources,
    size: usize,
}

/// Spreads `wanted` over numbered documents. What is in a document stays there, so that nothing churns; what is new goes into the first with room,
/// else into a document of its own.
pub(super) fn pack(wanted: &Resources, now: &BTreeMap<usize, Resources>, budget: Budget) -> Packed {
    let frame = document(&Resources::new()).len();
    let mut open: BTreeMap<usize, Open> = BTreeMap::new();
    let mut placed: BTreeSet<&ConnectArn> = BTreeSet::new();
    // A quota may have become smaller; where only the sum counts, what stands stays all the same.
    let may_stay = |size: usize| size <= budget.document || budget.total.is_some();
    for (&number, resources) in now {
        for arn in resources.iter().filter(|arn| wanted.contains(*arn)) {
            if may_stay(size_in(open.get(&number), arn, frame)) && placed.insert(arn) {
                open.entry(number).or_default().add(arn, frame);
            }
        }
    }
    let mut total: usize = open.values().map(|it| it.size).sum();
    let mut left_over = Resources::new();
    for arn in wanted.iter().filter(|arn| !placed.contains(arn)) {
        let with_room = open.iter().find(|(_, it)| size_in(Some(it), arn, frame) <= budget.document);
        let number = with_room.map_or_else(|| first_free(&open), |(number, _)| *number);
        let before = open.get(&number).map_or(0, |it| it.size);
        let after = size_in(open.get(&number), arn, frame);
        if budget.total.is_some_and(|most| total - before + after > most) {
            left_over.insert(arn.clone());
            continue;
        }
        total = total - before + after;
        open.entry(number).or_default().add(arn, frame);
    }
    let documents = open.into_iter().map(|(number, it)| (number, it.resources)).collect();
    Packed { documents, left_over }
}

/// Moves documents down until their numbers have no gap: policies are looked for by number, and one behind a gap that is attached to nobody would not
/// be found again. A number that is `taken` by somebody else's policy is no gap.
pub(super) fn close_gaps(documents: &mut BTreeMap<usize, Resources>, taken: &BTreeSet<usize>) {
    let is_free =
        |documents: &BTreeMap<usize, Resources>, number| !documents.contains_key(&number) && !taken.contains(&number);
    while let Some((&last, _)) = documents.last_key_value()
        && let Some(gap) = (1..last).find(|&number| is_free(documents, number))
        && let Some(resources) = documents.remove(&last)
    {
        documents.insert(gap, resources);
    }
}

fn first_free(open: &BTreeMap<usize, Open>) -> usize {
    (1..=open.len()).find(|number| !open.contains_key(number)).unwrap_or(open.len() + 1)
}

/// The length of a document with one more ARN: quoted, and parted from the others by a comma. ARNs have nothing to escape.
fn size_in(document: Option<&Open>, arn: &ConnectArn, frame: usize) -> usize {
    let quoted = arn.as_str().len() + 2;
    document.map_or(frame + quoted, |document| document.size + 1 + quoted)
}

impl Open {
    fn add(&mut self, arn: &ConnectArn, frame: usize) {
        let before = (!self.resources.is_empty()).then_some(&*self);
        self.size = size_in(before, arn, frame);
        self.resources.insert(arn.clone());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{arn, arns, many};
    use super::*;

    const LIMIT: Budget = Budget::of_documents(MANAGED_POLICY_LIMIT);

    #[test]
    fn two_hundred_users_spill_into_further_documents_that_all_fit() {
        let packed = pack(&many(200), &BTreeMap::new(), LIMIT).documents;
        assert_eq!(packed.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
        assert!(packed.values().all(|resources| document(resources).len() <= MANAGED_POLICY_LIMIT));
    }

    #[test]
    fn one_user_more_among_five_hundred_changes_one_document() {
        let before = pack(&many(500), &BTreeMap::new(), LIMIT).documents;
        for name in ["aaa", "app_00250x", "zzz"] {
            let mut wanted = many(500);
            wanted.insert(arn(name));
            let after = pack(&wanted, &before, LIMIT).documents;
            let changed = after.iter().filter(|(number, resources)| before.get(number) != Some(resources)).count();
            assert_eq!(changed, 1, "{name}");
        }
    }

    #[test]
    fn what_exceeds_the_total_is_left_over_and_what_stands_stays() {
        let budget = Budget { document: MANAGED_POLICY_LIMIT, total: Some(2_048) };
        let first = pack(&many(10), &BTreeMap::new(), budget);
        assert_eq!(first.left_over, Resources::new());
        let second = pack(&many(40), &first.documents, budget);
        assert!(first.documents[&1].is_subset(&second.documents[&1]));
        assert_eq!(second.documents[&1].len() + second.left_over.len(), 40);
        assert!(document(&second.documents[&1]).len() <= 2_048);
        // Others have taken room meanwhile: nothing that stands is taken away for it.
        let third = pack(&many(10), &first.documents, Budget { total: Some(500), ..budget });
        assert_eq!(third, first);
    }

    #[test]
    fn gaps_are_closed_by_the_last_document() {
        let mut documents = [(2, arns(&["b"])), (3, arns(&["c"])), (5, arns(&["e"]))].into();
        close_gaps(&mut documents, &BTreeSet::new());
        assert_eq!(documents, [(1, arns(&["e"])), (2, arns(&["b"])), (3, arns(&["c"]))].into());
        let mut documents = [(3, arns(&["c"])), (4, arns(&["d"]))].into();
        close_gaps(&mut documents, &[1].into());
        assert_eq!(documents, [(2, arns(&["d"])), (3, arns(&["c"]))].into());
    }

    proptest! {
        #[test]
        fn packing_is_stable_and_complete(before in 0_usize..150, removed in prop::collection::btree_set(0_usize..150, 0..20), added in 0_usize..60, limit in 300_usize..7_000) {
            let limit = Budget::of_documents(limit);
            let first = many(before);
            let packed = pack(&first, &BTreeMap::new(), limit).documents;
            prop_assert_eq!(&pack(&first, &packed, limit).documents, &packed, "nothing moves when nothing changed");
            let wanted: Resources = many(before + added).into_iter().enumerate().filter(|(index, _)| !removed.contains(index)).map(|(_, arn)| arn).collect();
            let again = pack(&wanted, &packed, limit);
            prop_assert!(again.left_over.is_empty());
            let again = again.documents;
            let all: Resources = again.values().flatten().cloned().collect();
            prop_assert_eq!(&all, &wanted);
            prop_assert_eq!(again.values().map(BTreeSet::len).sum::<usize>(), wanted.len(), "each in one document only");
            for (number, resources) in &again {
                prop_assert!(document(resources).len() <= limit.document);
                for arn in resources {
                    if let Some((was, _)) = packed.iter().find(|(_, resources)| resources.contains(arn)) {
                        prop_assert_eq!(was, number, "what was placed stays");
                    }
                }
            }
        }

        #[test]
        fn a_total_is_never_exceeded_and_nothing_is_lost(count in 0_usize..150, total in 0_usize..11_000) {
            let budget = Budget { document: MANAGED_POLICY_LIMIT, total: Some(total) };
            let packed = pack(&many(count), &BTreeMap::new(), budget);
            prop_assert!(packed.documents.values().map(|it| document(it).len()).sum::<usize>() <= total);
            let held = packed.documents.values().map(BTreeSet::len).sum::<usize>();
            prop_assert_eq!(held + packed.left_over.len(), count);
        }
    }
}

//! What all objects want, by the home that it concerns. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::domain::policy::{ConnectArn, PolicyHome, Resources, Tags};

/// What one object wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Claim {
    /// What shall be allowed.
    pub(super) wants: BTreeMap<PolicyHome, Resources>,
    /// What stays if it is there, and is not written if it is not.
    pub(super) keeps: BTreeMap<PolicyHome, Resources>,
    pub(super) tags: Tags,
    /// Characters of one document.
    pub(super) limit: Option<usize>,
    /// What the object looked like: a change of it, even one that changes nothing here, asks for a look at what is there.
    pub(super) state: u64,
}

impl Claim {
    /// The homes that it concerns.
    pub(super) fn homes(&self) -> impl Iterator<Item = &PolicyHome> {
        self.wants.keys().chain(self.keeps.keys())
    }
}

/// What everybody wants of one home.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) wants: Resources,
    pub(super) keeps: HashSet<ConnectArn>,
    pub(super) tags: Tags,
    pub(super) limit: Option<usize>,
}

/// What the objects of this process want, by uid. A claim without homes says: looked at, and nothing wanted.
#[derive(Debug, Default)]
pub(super) struct Claims {
    by_uid: HashMap<String, Claim>,
    by_home: HashMap<PolicyHome, HashSet<String>>,
    /// Homes that objects left that have not been looked at otherwise, by uid.
    parted: HashMap<String, BTreeSet<PolicyHome>>,
}

impl Claims {
    /// Enters a claim and returns the one before it.
    pub(super) fn enter(&mut self, uid: &str, claim: Claim) -> Option<Claim> {
        let before = self.remove(uid);
        for home in claim.homes() {
            self.by_home.entry(home.clone()).or_default().insert(uid.to_owned());
        }
        self.by_uid.insert(uid.to_owned(), claim);
        before
    }

    /// Takes the homes that an object is to leave out of its claim and returns them, together with those of the `remembered` ones that it is to leave.
    /// Whether it has been looked at in others stays as it is.
    pub(super) fn part(
        &mut self,
        uid: &str,
        remembered: BTreeSet<PolicyHome>,
        is_to_leave: impl Fn(&PolicyHome) -> bool,
    ) -> BTreeSet<PolicyHome> {
        let claimed = self.by_uid.get(uid).into_iter().flat_map(Claim::homes).cloned();
        let former: BTreeSet<PolicyHome> = claimed.chain(remembered).filter(is_to_leave).collect();
        if former.is_empty() {
            return former;
        }
        if self.by_uid.contains_key(uid) {
            let mut claim = self.remove(uid).unwrap_or_default();
            claim.wants.retain(|home, _| !former.contains(home));
            claim.keeps.retain(|home, _| !former.contains(home));
            self.enter(uid, claim);
        } else {
            self.parted.entry(uid.to_owned()).or_default().extend(former.iter().cloned());
        }
        former
    }

    /// Forgets an object that is gone.
    pub(super) fn remove(&mut self, uid: &str) -> Option<Claim> {
        self.parted.remove(uid);
        let claim = self.by_uid.remove(uid)?;
        for home in claim.homes() {
            if let Some(uids) = self.by_home.get_mut(home) {
                uids.remove(uid);
                if uids.is_empty() {
                    self.by_home.remove(home);
                }
            }
        }
        Some(claim)
    }

    /// Whether the object has been looked at, as far as this home goes.
    pub(super) fn knows(&self, uid: &str, home: &PolicyHome) -> bool {
        self.by_uid.contains_key(uid) || self.parted.get(uid).is_some_and(|homes| homes.contains(home))
    }

    /// What everybody wants of a home. Where two DbServers give one tag two values, the lesser stands, whoever came first.
    pub(super) fn of_home(&self, home: &PolicyHome) -> Wish {
        let mut wish = Wish::default();
        let uids = self.by_home.get(home).into_iter().flatten();
        for claim in uids.filter_map(|uid| self.by_uid.get(uid)) {
            wish.keeps.extend(claim.keeps.get(home).into_iter().flatten().cloned());
            let Some(resources) = claim.wants.get(home) else { continue };
            wish.wants.extend(resources.iter().cloned());
            for (key, value) in &claim.tags {
                let stands = wish.tags.entry(key.clone()).or_insert_with(|| value.clone());
                if value < stands {
                    stands.clone_from(value);
                }
            }
            wish.limit = [wish.limit, claim.limit].into_iter().flatten().min();
        }
        wish
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::Place;

    fn home(name: &str) -> PolicyHome {
        PolicyHome {
            principal: format!("arn:aws:iam::123456789012:role/{name}").parse().unwrap(),
            place: Place::Inline,
            cluster: "c".into(),
        }
    }

    fn resources(users: &[&str]) -> Resources {
        let arn = |user: &&str| format!("arn:aws:rds-db:us-east-1:123456789012:dbuser:db-A/{user}");
        users.iter().map(|user| ConnectArn::parse(&arn(user)).unwrap()).collect()
    }

    fn claim(wants: &[(&str, &[&str])], tags: &[(&str, &str)], limit: usize) -> Claim {
        Claim {
            wants: wants.iter().map(|(name, users)| (home(name), resources(users))).collect(),
            tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            limit: Some(limit),
            ..Claim::default()
        }
    }

    #[test]
    fn a_home_gets_what_all_want_of_it_and_nothing_else() {
        let mut claims = Claims::default();
        assert_eq!(claims.enter("1", claim(&[("a", &["x"]), ("b", &["x"])], &[("team", "web")], 6_144)), None);
        claims.enter("2", claim(&[("a", &["y"])], &[("team", "shop"), ("cost", "7")], 4_000));
        let wish = claims.of_home(&home("a"));
        assert_eq!(wish.wants, resources(&["x", "y"]));
        assert_eq!(wish.tags, [("cost".into(), "7".into()), ("team".into(), "shop".into())].into());
        assert_eq!(wish.limit, Some(4_000), "the smaller of two quotas is the safe one");
        assert_eq!(claims.of_home(&home("b")).wants, resources(&["x"]));
        assert_eq!(claims.of_home(&home("c")), Wish::default());
    }

    #[test]
    fn a_claim_replaces_the_one_before_it() {
        let mut claims = Claims::default();
        claims.enter("1", claim(&[("a", &["x"])], &[], 1));
        let before = claims.enter("1", claim(&[("b", &["x"])], &[], 1));
        assert_eq!(before, Some(claim(&[("a", &["x"])], &[], 1)));
        assert_eq!(claims.of_home(&home("a")), Wish::default());
        assert!(claims.knows("1", &home("a")) && !claims.knows("2", &home("a")));
        claims.remove("1");
        assert!(!claims.knows("1", &home("a")) && claims.by_home.is_empty());
    }

    #[test]
    fn an_object_leaves_what_it_has_and_what_it_is_remembered_to_have() {
        let mut claims = Claims::default();
        claims.enter("1", claim(&[("a", &["x"]), ("b", &["x"])], &[("team", "web")], 1));
        let remembered: BTreeSet<PolicyHome> = [home("b"), home("c")].into();
        let stays_in = |name: &'static str| move |it: &PolicyHome| *it != home(name);
        let left = claims.part("1", remembered.clone(), stays_in("a"));
        assert_eq!(left, remembered);
        assert_eq!(claims.enter("1", Claim::default()), Some(claim(&[("a", &["x"])], &[("team", "web")], 1)));

        assert_eq!(claims.part("2", remembered.clone(), |_| false), BTreeSet::new());
        assert!(!claims.knows("2", &home("b")) && !claims.knows("2", &home("c")));
        assert_eq!(claims.part("2", remembered, stays_in("c")), [home("b")].into());
        assert!(claims.knows("2", &home("b")), "nothing there stays on its behalf");
        assert!(!claims.knows("2", &home("c")), "what it has elsewhere is not known yet");
        claims.remove("2");
        assert!(claims.parted.is_empty());
    }
}

//! Tenancy: a request fits one rule whole, or is refused with the field that no rule admits. Rules are never combined.

use std::fmt;

use super::arn::Principal;
use super::glob;
use super::privilege::Privilege;

/// One rule of a DbServer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Name, for messages.
    pub name: String,
    /// Whether the rule is for the namespace of the request.
    pub is_for_namespace: bool,
    /// Globs over usernames, `${namespace}` already replaced.
    pub usernames: Vec<String>,
    /// Globs over literal database names, `${namespace}` already replaced.
    pub databases: Vec<String>,
    /// Privileges that may be granted.
    pub privileges: Vec<Privilege>,
    /// Literal host patterns.
    pub hosts: Vec<String>,
    /// Patterns of principals that policies may be attached to.
    pub principals: Vec<String>,
    /// Patterns of roles that may be assumed to sign.
    pub assume_roles: Vec<String>,
    /// Roles in the database that may be granted, by their exact names.
    pub roles: Vec<String>,
    /// Existing accounts that may be adopted, by their exact names.
    pub adopt: Vec<String>,
    /// Globs over the usernames that the operator may sign for as itself, `${namespace}` already replaced.
    pub operator_usernames: Vec<String>,
    /// Whether policies may reach every server of the account and Region.
    pub allows_account_region: bool,
}

/// What an object asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request<'a> {
    /// Name of the account.
    pub username: &'a str,
    /// Host patterns of the accounts.
    pub hosts: Vec<&'a str>,
    /// Databases and privileges.
    pub grants: Vec<(&'a str, Vec<Privilege>)>,
    /// Roles in the database.
    pub roles: Vec<&'a str>,
    /// Whether an account that is there already is to be adopted.
    pub adopts: bool,
    /// Principals to attach policies to.
    pub principals: Vec<&'a Principal>,
    /// A role to assume for signing.
    pub assume_role: Option<&'a Principal>,
    /// Whether the operator shall sign as itself.
    pub operator_identity: bool,
    /// Whether the policy shall reach every server of the account and Region.
    pub account_region: bool,
}

/// The part of a request that is not admitted, as a path in the object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// No rule is for the namespace.
    Namespace,
    /// `spec.username`
    Username,
    /// `spec.hosts`, and the host.
    Host(String),
    /// `spec.grants[].database`, and the database.
    Database(String),
    /// `spec.grants[].privileges`, and the privilege.
    Privilege(&'static str),
    /// `spec.roles`, and the role.
    Role(String),
    /// `spec.existingUser`
    Adopt,
    /// `spec.principals`, and the ARN.
    Principal(String),
    /// `spec.identity`, and the role.
    AssumeRole(String),
    /// `spec.identity.type`
    OperatorIdentity,
    /// `spec.scope`
    Scope,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace => f.write_str("metadata.namespace"),
            Self::Username => f.write_str("spec.username"),
            Self::Host(host) => write!(f, "spec.hosts: {host}"),
            Self::Database(database) => write!(f, "spec.grants[].database: {database}"),
            Self::Privilege(privilege) => write!(f, "spec.grants[].privileges: {privilege}"),
            Self::Role(role) => write!(f, "spec.roles: {role}"),
            Self::Adopt => f.write_str("spec.existingUser: Adopt"),
            Self::Principal(arn) => write!(f, "spec.principals: {arn}"),
            Self::AssumeRole(arn) => write!(f, "spec.identity: {arn}"),
            Self::OperatorIdentity => f.write_str("spec.identity.type: Operator"),
            Self::Scope => f.write_str("spec.scope: AccountRegion"),
        }
    }
}

/// No rule admits the whole request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// The field at which the nearest rule, the one that admits most, gives out.
    pub field: Field,
    /// That rule, where one is for the namespace.
    pub nearest: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.nearest {
            None => write!(f, "no tenancy rule is for this namespace ({})", self.field),
            Some(rule) => write!(
                f,
                "no tenancy rule admits the whole request; the nearest, {rule}, does not admit {}",
                self.field
            ),
        }
    }
}

/// The rule that admits the whole request.
///
/// # Errors
/// A [`Refusal`] that names the field at which the nearest rule gives out.
pub fn admit<'r>(rules: &'r [Rule], request: &Request<'_>) -> Result<&'r Rule, Refusal> {
    let mut nearest = Refusal { field: Field::Namespace, nearest: None };
    for rule in rules {
        match first_refused(rule, request) {
            None => return Ok(rule),
            Some(field) if rank(&field) > rank(&nearest.field) => {
                nearest = Refusal { field, nearest: Some(rule.name.clone()) };
            }
            Some(_) => {}
        }
    }
    Err(nearest)
}

/// How far a rule came: fields are checked in this order.
const fn rank(field: &Field) -> u8 {
    match field {
        Field::Namespace => 0,
        Field::Username => 1,
        Field::Host(_) => 2,
        Field::Database(_) => 3,
        Field::Privilege(_) => 4,
        Field::Role(_) => 5,
        Field::Adopt => 6,
        Field::Principal(_) => 7,
        Field::AssumeRole(_) => 8,
        Field::OperatorIdentity => 9,
        Field::Scope => 10,
    }
}

fn first_refused(rule: &Rule, request: &Request<'_>) -> Option<Field> {
    let any = |patterns: &[String], text: &str| patterns.iter().any(|pattern| glob::matches(pattern, text));
    let any_segment =
        |patterns: &[String], text: &str| patterns.iter().any(|pattern| glob::matches_segment(pattern, text));
    if !rule.is_for_namespace {
        return Some(Field::Namespace);
    }
    if !any(&rule.usernames, request.username) {
        return Some(Field::Username);
    }
    if let Some(host) = request.hosts.iter().find(|host| !rule.hosts.iter().any(|allowed| allowed == *host)) {
        return Some(Field::Host((*host).to_owned()));
    }
    if let Some((database, _)) = request.grants.iter().find(|(database, _)| !any(&rule.databases, database)) {
        return Some(Field::Database((*database).to_owned()));
    }
    let mut privileges = request.grants.iter().flat_map(|(_, privileges)| privileges);
    if let Some(privilege) = privileges.find(|privilege| !rule.privileges.contains(privilege)) {
        return Some(Field::Privilege(privilege.sql()));
    }
    if let Some(role) = request.roles.iter().find(|role| !rule.roles.iter().any(|allowed| allowed == *role)) {
        return Some(Field::Role((*role).to_owned()));
    }
    if request.adopts && !rule.adopt.iter().any(|allowed| allowed == request.username) {
        return Some(Field::Adopt);
    }
    if let Some(principal) =
        request.principals.iter().find(|principal| !any_segment(&rule.principals, principal.arn().as_str()))
    {
        return Some(Field::Principal(principal.to_string()));
    }
    let refused_role = request
        .assume_role
        .filter(|role| !any_segment(&rule.assume_roles, role.arn().as_str()))
        .map(|role| Field::AssumeRole(role.to_string()));
    if refused_role.is_some() {
        return refused_role;
    }
    if request.operator_identity && !any(&rule.operator_usernames, request.username) {
        return Some(Field::OperatorIdentity);
    }
    (request.account_region && !rule.allows_account_region).then_some(Field::Scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str) -> Rule {
        Rule {
            name: name.into(),
            is_for_namespace: true,
            usernames: vec!["app_*".into()],
            databases: vec!["orders*".into()],
            privileges: vec![Privilege::Select],
            hosts: vec!["%".into()],
            principals: vec!["arn:aws:iam::123456789012:role/shop-*".into()],
            assume_roles: vec!["arn:aws:iam::123456789012:role/sign-*".into()],
            roles: vec!["reader".into(), "read*".into()],
            adopt: vec!["app_old".into(), "app_*".into()],
            operator_usernames: vec!["app_batch".into()],
            allows_account_region: false,
        }
    }

    fn principal(text: &str) -> Principal {
        text.parse().unwrap()
    }

    fn request() -> Request<'static> {
        Request {
            username: "app_orders",
            hosts: vec!["%"],
            grants: vec![("orders_prod", vec![Privilege::Select])],
            ..Request::default()
        }
    }

    #[test]
    fn a_request_that_fits_is_admitted_and_an_empty_list_admits_nobody() {
        assert_eq!(admit(&[rule("shop")], &request()).unwrap().name, "shop");
        let refusal = admit(&[], &request()).unwrap_err();
        assert_eq!(refusal.field, Field::Namespace);
    }

    #[test]
    fn each_field_is_refused_by_its_name() {
        let shop_x = principal("arn:aws:iam::123456789012:role/shop-x/admin");
        let other = principal("arn:aws:iam::123456789012:role/other");
        let cases = [
            (Request { username: "root2", ..request() }, "spec.username"),
            (Request { hosts: vec!["10.%"], ..request() }, "spec.hosts: 10.%"),
            (Request { grants: vec![("payroll", vec![])], ..request() }, "spec.grants[].database: payroll"),
            (
                Request { grants: vec![("orders", vec![Privilege::Drop])], ..request() },
                "spec.grants[].privileges: DROP",
            ),
            (
                Request { principals: vec![&shop_x], ..request() },
                "spec.principals: arn:aws:iam::123456789012:role/shop-x/admin",
            ),
            // A star is no wildcard here: a role or an account that the rule does not name whole is not to be had.
            (Request { roles: vec!["reader", "readers"], ..request() }, "spec.roles: readers"),
            (Request { roles: vec!["Reader"], ..request() }, "spec.roles: Reader"),
            (Request { adopts: true, ..request() }, "spec.existingUser: Adopt"),
            (Request { account_region: true, ..request() }, "spec.scope: AccountRegion"),
            (Request { assume_role: Some(&other), ..request() }, "spec.identity: arn:aws:iam::123456789012:role/other"),
            (Request { operator_identity: true, ..request() }, "spec.identity.type: Operator"),
        ];
        for (request, field) in cases {
            let refusal = admit(&[rule("shop")], &request).unwrap_err();
            assert_eq!(refusal.field.to_string(), field);
            assert_eq!(refusal.nearest.as_deref(), Some("shop"));
        }
        let elsewhere = Rule { is_for_namespace: false, ..rule("shop") };
        assert_eq!(admit(&[elsewhere], &request()).unwrap_err().field, Field::Namespace);
        let batch = Request { username: "app_batch", operator_identity: true, ..request() };
        assert!(admit(&[rule("shop")], &batch).is_ok());
    }

    #[test]
    fn roles_and_adoptions_are_admitted_by_their_exact_names() {
        let request = Request { username: "app_old", roles: vec!["reader"], adopts: true, ..request() };
        assert!(admit(&[rule("shop")], &request).is_ok());
    }

    #[test]
    fn two_rules_are_never_combined() {
        let databases = Rule { usernames: vec!["other".into()], databases: vec!["*".into()], ..rule("databases") };
        let usernames = Rule { databases: vec![], ..rule("usernames") };
        let refusal = admit(&[databases, usernames], &request()).unwrap_err();
        assert_eq!(
            (refusal.field, refusal.nearest.as_deref()),
            (Field::Database("orders_prod".into()), Some("usernames"))
        );
    }

    #[test]
    fn in_database_globs_the_underscore_is_an_ordinary_character() {
        let exact = Rule { databases: vec!["orders_prod".into()], ..rule("shop") };
        let request = Request { grants: vec![("ordersXprod", vec![])], ..request() };
        assert!(admit(&[exact], &request).is_err());
    }
}

//! The privileges that may be granted on a schema: a closed list, in the server's own words.

macro_rules! privileges {
    ($($name:ident = $sql:literal / $column:literal,)+) => {
        /// A privilege on a schema. None of them reaches beyond the schema it is granted on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the names are MySQL's own; its manual says what each allows")]
        pub enum Privilege { $($name,)+ }

        impl Privilege {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The words of a GRANT statement.
            #[must_use]
            pub const fn sql(self) -> &'static str {
                match self { $(Self::$name => $sql,)+ }
            }

            /// The column of `mysql.db` that records it.
            #[must_use]
            pub const fn column(self) -> &'static str {
                match self { $(Self::$name => $column,)+ }
            }
        }
    };
}

privileges! {
    Select = "SELECT" / "Select_priv",
    Insert = "INSERT" / "Insert_priv",
    Update = "UPDATE" / "Update_priv",
    Delete = "DELETE" / "Delete_priv",
    Create = "CREATE" / "Create_priv",
    Drop = "DROP" / "Drop_priv",
    References = "REFERENCES" / "References_priv",
    Index = "INDEX" / "Index_priv",
    Alter = "ALTER" / "Alter_priv",
    CreateTemporaryTables = "CREATE TEMPORARY TABLES" / "Create_tmp_table_priv",
    LockTables = "LOCK TABLES" / "Lock_tables_priv",
    Execute = "EXECUTE" / "Execute_priv",
    CreateView = "CREATE VIEW" / "Create_view_priv",
    ShowView = "SHOW VIEW" / "Show_view_priv",
    CreateRoutine = "CREATE ROUTINE" / "Create_routine_priv",
    AlterRoutine = "ALTER ROUTINE" / "Alter_routine_priv",
    Event = "EVENT" / "Event_priv",
    Trigger = "TRIGGER" / "Trigger_priv",
}

impl Privilege {
    /// Whether it can be granted on one table.
    #[must_use]
    pub const fn is_for_tables(self) -> bool {
        match self {
            Self::Select
            | Self::Insert
            | Self::Update
            | Self::Delete
            | Self::Create
            | Self::Drop
            | Self::References
            | Self::Index
            | Self::Alter
            | Self::CreateView
            | Self::ShowView
            | Self::Trigger => true,
            Self::CreateTemporaryTables
            | Self::LockTables
            | Self::Execute
            | Self::CreateRoutine
            | Self::AlterRoutine
            | Self::Event => false,
        }
    }

    /// Whether it can be granted on one stored procedure or function.
    #[must_use]
    pub const fn is_for_routines(self) -> bool {
        matches!(self, Self::Execute | Self::AlterRoutine)
    }

    /// The privilege of these words, or none when they are outside the list.
    #[must_use]
    pub fn of_sql(words: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|privilege| privilege.sql() == words)
    }
}

/// A right as an account holds it: one of the list, or one beyond it that somebody else has given.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Right {
    /// One that the operator may grant.
    Listed(Privilege),
    /// One that it never grants, and takes away where it meets it.
    Beyond(Beyond),
}

/// The words of a right that is not in the list. Letters, spaces and underscores: nothing that could end anything in a statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Beyond(String);

impl Right {
    /// The right of a server's words, or none when they cannot be any.
    #[must_use]
    pub fn of_sql(words: &str) -> Option<Self> {
        let ok = |b: u8| b.is_ascii_uppercase() || matches!(b, b'_' | b' ');
        let is_right = (1..=64).contains(&words.len()) && words.bytes().all(ok) && !words.starts_with(' ');
        let beyond = || is_right.then(|| Self::Beyond(Beyond(words.to_owned())));
        Privilege::of_sql(words).map(Self::Listed).or_else(beyond)
    }

    /// The words of a REVOKE statement.
    #[must_use]
    pub fn sql(&self) -> &str {
        match self {
            Self::Listed(privilege) => privilege.sql(),
            Self::Beyond(Beyond(words)) => words,
        }
    }

    /// Whether it lets its holder pass on what it holds.
    #[must_use]
    pub fn is_grant_option(&self) -> bool {
        self.sql() == "GRANT OPTION"
    }
}

impl From<Privilege> for Right {
    fn from(privilege: Privilege) -> Self {
        Self::Listed(privilege)
    }
}

#[cfg(test)]
mod tests {
    use super::{Privilege, Right};

    #[test]
    fn a_right_beyond_the_list_is_words_and_nothing_else() {
        for words in ["GRANT OPTION", "PROCESS", "CONNECTION_ADMIN", "SELECT"] {
            assert_eq!(Right::of_sql(words).map(|right| right.sql().to_owned()).as_deref(), Some(words));
        }
        for text in ["", " SELECT", "SELECT,INSERT", "SELECT; DROP", "select", "A`B", "A'B", &"A".repeat(65)] {
            assert_eq!(Right::of_sql(text), None, "{text}");
        }
    }

    #[test]
    fn nothing_that_reaches_beyond_a_schema_is_in_the_list() {
        for words in [
            "SUPER",
            "FILE",
            "PROCESS",
            "CREATE USER",
            "GRANT OPTION",
            "RELOAD",
            "SHUTDOWN",
            "REPLICATION SLAVE",
            "SYSTEM_USER",
            "ALL",
            "ALL PRIVILEGES",
            "SET_USER_ID",
            "SHOW DATABASES",
            "select",
            "SELECT, INSERT",
            "",
        ] {
            assert_eq!(Privilege::of_sql(words), None, "{words}");
        }
    }

    #[test]
    fn words_lead_back_to_the_privilege() {
        for &privilege in Privilege::ALL {
            assert_eq!(Privilege::of_sql(privilege.sql()), Some(privilege));
        }
    }
}

//! MariaDB's descriptors, after `include/mysql/plugin.h` and `plugin_auth.h` of MariaDB 10.11.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::mem::size_of;
use std::ptr::null;

use super::{AUTHENTICATION_PLUGIN, AUTHOR, CLIENT_PLUGIN, DESCRIPTION, LICENSE_GPL, NAME, VERSION, Vio};
use crate::exchange;

/// `MYSQL_USERNAME_LENGTH` is 512 here, and `external_user` has the same length.
type AuthInfo = super::AuthInfo<513, 513>;

/// `MARIA_PLUGIN_INTERFACE_VERSION` of 10.11.
const PLUGIN_INTERFACE: c_int = 0x010f;
/// `MYSQL_AUTHENTICATION_INTERFACE_VERSION` of 10.11.
const AUTHENTICATION_INTERFACE: c_int = 0x0202;
/// `MariaDB_PLUGIN_MATURITY_STABLE`. A stable server refuses plugins that are less than gamma (`plugin_maturity`).
const MATURITY_STABLE: c_uint = 5;

/// `struct st_mysql_auth`. The two last functions may be absent: there are no passwords to hash.
#[repr(C)]
struct Authentication {
    interface_version: c_int,
    client_auth_plugin: *const c_char,
    authenticate_user: unsafe extern "C" fn(vio: *mut Vio, info: *mut AuthInfo) -> c_int,
    hash_password: *const c_void,
    preprocess_hash: *const c_void,
}

/// `struct st_maria_plugin`.
#[repr(C)]
struct Plugin {
    kind: c_int,
    info: *const c_void,
    name: *const c_char,
    author: *const c_char,
    description: *const c_char,
    license: c_int,
    init: *const c_void,
    deinit: *const c_void,
    version: c_uint,
    status_variables: *const c_void,
    system_variables: *const c_void,
    version_info: *const c_char,
    maturity: c_uint,
}

const _: () = assert!(size_of::<Plugin>() == 0x68 && size_of::<Authentication>() == 0x28);

unsafe extern "C" fn authenticate_user(vio: *mut Vio, info: *mut AuthInfo) -> c_int {
    // SAFETY: the server calls this with its own structs, alive for the length of the call.
    unsafe { exchange::authenticate(vio, info) }
}

// The servers write into what a plugin exports, so all of it has to be in writable memory: hence `static mut`. Nothing
// here reads it.

static mut AUTHENTICATION: Authentication = Authentication {
    interface_version: AUTHENTICATION_INTERFACE,
    client_auth_plugin: CLIENT_PLUGIN,
    authenticate_user,
    hash_password: null(),
    preprocess_hash: null(),
};

// SAFETY: the name is MariaDB's for this and no other symbol.
#[unsafe(no_mangle)]
static mut _maria_plugin_interface_version_: c_int = PLUGIN_INTERFACE;

// SAFETY: as above.
#[unsafe(no_mangle)]
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "the size is 0x68, asserted above")]
static mut _maria_sizeof_struct_st_plugin_: c_int = size_of::<Plugin>() as c_int;

// SAFETY: as above; the list ends with an empty descriptor, as the server expects.
#[unsafe(no_mangle)]
static mut _maria_plugin_declarations_: [Plugin; 2] = [
    Plugin {
        kind: AUTHENTICATION_PLUGIN,
        info: (&raw const AUTHENTICATION).cast(),
        name: NAME,
        author: AUTHOR,
        description: DESCRIPTION,
        license: LICENSE_GPL,
        init: null(),
        deinit: null(),
        version: VERSION,
        status_variables: null(),
        system_variables: null(),
        version_info: c"1.0".as_ptr(),
        maturity: MATURITY_STABLE,
    },
    Plugin {
        kind: 0,
        info: null(),
        name: null(),
        author: null(),
        description: null(),
        license: 0,
        init: null(),
        deinit: null(),
        version: 0,
        status_variables: null(),
        system_variables: null(),
        version_info: null(),
        maturity: 0,
    },
];

//! MySQL's descriptors, after `include/mysql/plugin.h` and `plugin_auth.h` of MySQL 8.0.

use std::ffi::{c_char, c_int, c_uchar, c_uint, c_ulong, c_void};
use std::mem::size_of;
use std::ptr::null;

use super::{AUTHENTICATION_PLUGIN, AUTHOR, CLIENT_PLUGIN, DESCRIPTION, LICENSE_GPL, NAME, VERSION, Vio};
use crate::exchange;

/// `MYSQL_USERNAME_LENGTH` is 96 here; `external_user` has a length of its own.
type AuthInfo = super::AuthInfo<97, 512>;

/// `MYSQL_PLUGIN_INTERFACE_VERSION` of 8.0 and 9.
const PLUGIN_INTERFACE: c_int = 0x010b;
/// `MYSQL_AUTHENTICATION_INTERFACE_VERSION` of 8.0 and 9.
const AUTHENTICATION_INTERFACE: c_int = 0x0201;

/// `struct st_mysql_auth`. The functions are called at `CREATE USER`, `ALTER USER` and when the user table is read,
/// and must be there; `compare_password_with_hash` may be absent.
#[repr(C)]
struct Authentication {
    interface_version: c_int,
    client_auth_plugin: *const c_char,
    authenticate_user: unsafe extern "C" fn(vio: *mut Vio, info: *mut AuthInfo) -> c_int,
    generate_authentication_string: unsafe extern "C" fn(
        out: *mut c_char,
        out_length: *mut c_uint,
        input: *const c_char,
        input_length: c_uint,
    ) -> c_int,
    validate_authentication_string: unsafe extern "C" fn(input: *const c_char, length: c_uint) -> c_int,
    set_salt: unsafe extern "C" fn(
        password: *const c_char,
        password_length: c_uint,
        salt: *mut c_uchar,
        salt_length: *mut c_uchar,
    ) -> c_int,
    flags: c_ulong,
    compare_password_with_hash: *const c_void,
}

/// `struct st_mysql_plugin`.
#[repr(C)]
struct Plugin {
    kind: c_int,
    info: *const c_void,
    name: *const c_char,
    author: *const c_char,
    description: *const c_char,
    license: c_int,
    init: *const c_void,
    check_uninstall: *const c_void,
    deinit: *const c_void,
    version: c_uint,
    status_variables: *const c_void,
    system_variables: *const c_void,
    reserved: *const c_void,
    flags: c_ulong,
}

const _: () = assert!(size_of::<Plugin>() == 0x70 && size_of::<Authentication>() == 0x40);

unsafe extern "C" fn authenticate_user(vio: *mut Vio, info: *mut AuthInfo) -> c_int {
    // SAFETY: the server calls this with its own structs, alive for the length of the call.
    unsafe { exchange::authenticate(vio, info) }
}

/// Called for `IDENTIFIED WITH .. BY '..'`, and with no text for `IDENTIFIED WITH ..` alone. An IAM account has no
/// password, so any text is an error; storing it would leave it readable in the user table.
unsafe extern "C" fn generate_authentication_string(
    _out: *mut c_char,
    out_length: *mut c_uint,
    _input: *const c_char,
    input_length: c_uint,
) -> c_int {
    // SAFETY: the server passes the length of its buffer and expects the length of the string in its place.
    unsafe { out_length.write(0) };
    c_int::from(input_length != 0)
}

/// Called for `IDENTIFIED WITH .. AS '..'`; any text will do, `RDS` by custom.
unsafe extern "C" fn validate_authentication_string(_input: *const c_char, _length: c_uint) -> c_int {
    0
}

/// Called when the account is read from the user table. There is no salt.
unsafe extern "C" fn set_salt(
    _password: *const c_char,
    _password_length: c_uint,
    _salt: *mut c_uchar,
    salt_length: *mut c_uchar,
) -> c_int {
    // SAFETY: the server expects the salt's length here.
    unsafe { salt_length.write(0) };
    0
}

// The servers write into what a plugin exports, so all of it has to be in writable memory: hence `static mut`. Nothing
// here reads it.

static mut AUTHENTICATION: Authentication = Authentication {
    interface_version: AUTHENTICATION_INTERFACE,
    client_auth_plugin: CLIENT_PLUGIN,
    authenticate_user,
    generate_authentication_string,
    validate_authentication_string,
    set_salt,
    flags: 0,
    compare_password_with_hash: null(),
};

// SAFETY: the name is MySQL's for this and no other symbol.
#[unsafe(no_mangle)]
static mut _mysql_plugin_interface_version_: c_int = PLUGIN_INTERFACE;

// SAFETY: as above.
#[unsafe(no_mangle)]
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "the size is 0x70, asserted above")]
static mut _mysql_sizeof_struct_st_plugin_: c_int = size_of::<Plugin>() as c_int;

// SAFETY: as above; the list ends with an empty descriptor, as the server expects.
#[unsafe(no_mangle)]
static mut _mysql_plugin_declarations_: [Plugin; 2] = [
    Plugin {
        kind: AUTHENTICATION_PLUGIN,
        info: (&raw const AUTHENTICATION).cast(),
        name: NAME,
        author: AUTHOR,
        description: DESCRIPTION,
        license: LICENSE_GPL,
        init: null(),
        check_uninstall: null(),
        deinit: null(),
        version: VERSION,
        status_variables: null(),
        system_variables: null(),
        reserved: null(),
        flags: 0,
    },
    Plugin {
        kind: 0,
        info: null(),
        name: null(),
        author: null(),
        description: null(),
        license: 0,
        init: null(),
        check_uninstall: null(),
        deinit: null(),
        version: 0,
        status_variables: null(),
        system_variables: null(),
        reserved: null(),
        flags: 0,
    },
];

//! The servers' binary interface, as far as both have it in common.
//!
//! The layouts are written by hand from the servers' public headers, named at each type, and hold for 64-bit Linux.
//! MariaDB's are those of 10.11, MySQL's those of 8.0; both servers accept a plugin made for an older minor version of
//! an interface, so that MariaDB 11 and MySQL 9 load it too.

use std::ffi::{c_char, c_int, c_uint, c_ulong};

mod mariadb;
mod mysql;

/// `MYSQL_AUTHENTICATION_PLUGIN` in `plugin.h`: the plugin type, the same number in both.
const AUTHENTICATION_PLUGIN: c_int = 7;
/// `PLUGIN_LICENSE_GPL` in `plugin.h`. MariaDB loads others too, but says so in its log.
const LICENSE_GPL: c_int = 1;
/// The plugin's own version, 1.0.
const VERSION: c_uint = 0x0100;

/// The name in `IDENTIFIED WITH`, the real plugin's.
const NAME: *const c_char = c"AWSAuthenticationPlugin".as_ptr();
const AUTHOR: *const c_char = c"iamdb-operator test world".as_ptr();
const DESCRIPTION: *const c_char = c"Stand-in that checks RDS IAM database tokens".as_ptr();
/// The client's half: it sends the token as it is.
const CLIENT_PLUGIN: *const c_char = c"mysql_clear_password".as_ptr();

/// `CR_OK` in `plugin_auth_common.h`.
pub(crate) const CR_OK: c_int = -1;
/// `CR_AUTH_USER_CREDENTIALS` there: wrong credentials. Unlike `CR_AUTH_HANDSHAKE` it does not count towards
/// `max_connect_errors`, after which a server blocks the client's whole host.
pub(crate) const CR_AUTH_USER_CREDENTIALS: c_int = 1;
/// `PASSWORD_USED_YES` in `plugin_auth.h`: what error 1045 says in brackets.
pub(crate) const PASSWORD_USED_YES: c_int = 1;

/// `MYSQL_PLUGIN_VIO` in `plugin_auth_common.h`: the way to the client. The server's own data follows it in memory.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Vio {
    /// Points `buffer` at the next packet and returns its length, or a negative number when there is none. The packet
    /// is the server's and good until the next call.
    pub(crate) read_packet: unsafe extern "C" fn(vio: *mut Vio, buffer: *mut *mut u8) -> c_int,
    /// Sends a packet; 0 on success. Both servers look at its first byte even when its length is 0.
    pub(crate) write_packet: unsafe extern "C" fn(vio: *mut Vio, packet: *const u8, length: c_int) -> c_int,
    /// Describes the connection.
    pub(crate) info: unsafe extern "C" fn(vio: *mut Vio, info: *mut VioInfo),
}

/// `MYSQL_PLUGIN_VIO_INFO` in `plugin_auth_common.h`. On Linux it ends after `socket`, but MySQL 9 appends
/// `is_tls_established`: the server fills in its own idea of the struct, so there has to be room for more.
#[repr(C)]
pub(crate) struct VioInfo {
    pub(crate) protocol: c_int,
    pub(crate) socket: c_int,
    pub(crate) room: [u64; 8],
}

/// `MYSQL_VIO_TCP`, in the enum inside `MYSQL_PLUGIN_VIO_INFO`.
pub(crate) const VIO_TCP: c_int = 1;
/// `MYSQL_VIO_SOCKET`, a UNIX socket.
pub(crate) const VIO_SOCKET: c_int = 2;

/// The head of `MYSQL_SERVER_AUTH_INFO` in `plugin_auth.h`, as far as it is used here. The servers differ only in two
/// lengths: `NAME` is `MYSQL_USERNAME_LENGTH + 1`, and `EXTERNAL` that of `external_user`.
#[repr(C)]
pub(crate) struct AuthInfo<const NAME: usize, const EXTERNAL: usize> {
    user_name: *const c_char,
    user_name_length: c_uint,
    auth_string: *const c_char,
    auth_string_length: c_ulong,
    /// The account's name in the user table, closed by a NUL. It is empty for the anonymous account, whatever name the
    /// client gave.
    pub(crate) authenticated_as: [u8; NAME],
    external_user: [u8; EXTERNAL],
    /// For the words "using password" in the error message.
    pub(crate) password_used: c_int,
}

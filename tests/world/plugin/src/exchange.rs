//! The talk with the client, through the server's functions. No panic gets past this file.

use std::ffi::{CStr, c_int};
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;
use std::{ptr, slice};

use crate::abi::{AuthInfo, CR_AUTH_USER_CREDENTIALS, CR_OK, PASSWORD_USED_YES, VIO_SOCKET, VIO_TCP, Vio, VioInfo};
use crate::login::{self, Answer, Login};
use crate::socket::{Socket, Transport};

/// Lets a client in or refuses it; the servers' `authenticate_user`.
///
/// # Safety
///
/// Both pointers must be the server's, and good for the length of the call.
pub(crate) unsafe fn authenticate<const NAME: usize, const EXTERNAL: usize>(
    vio: *mut Vio,
    info: *mut AuthInfo<NAME, EXTERNAL>,
) -> c_int {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| panic::set_hook(Box::new(report_place)));

    // SAFETY: the caller's promise is passed on.
    if guarded(|| unsafe { hear(vio, info) }.judge()) { CR_OK } else { CR_AUTH_USER_CREDENTIALS }
}

/// Refuses when the judgement panics: unwinding into the server's C++ would be undefined.
fn guarded(judgement: impl FnOnce() -> bool) -> bool {
    panic::catch_unwind(AssertUnwindSafe(judgement)).unwrap_or_else(|_| {
        let _ = panic::catch_unwind(login::record_failure);
        false
    })
}

/// The usual report of a panic would hold its message, which may quote a piece of a token. The hook is this shared
/// object's own: Rust's runtime is linked into it.
fn report_place(panic: &PanicHookInfo<'_>) {
    if let Some(place) = panic.location() {
        let _ = writeln!(io::stderr(), "AWSAuthenticationPlugin: panic at {place}");
    }
}

/// Gathers what the server and the client have to say.
///
/// # Safety
///
/// As for [`authenticate`].
unsafe fn hear<const NAME: usize, const EXTERNAL: usize>(vio: *mut Vio, info: *mut AuthInfo<NAME, EXTERNAL>) -> Login {
    // SAFETY: `vio` is the server's.
    let socket = unsafe { socket(vio) };
    // SAFETY: as above.
    let answer = unsafe { answer(vio, socket.as_ref()) };
    // The account is known for sure only now that the server has read the client's first packet.
    // SAFETY: `info` is the server's, and the server, which writes there while it reads a packet, is not called again.
    let name = unsafe { &(*info).authenticated_as };
    let account = CStr::from_bytes_until_nul(name).unwrap_or_default().to_string_lossy().into_owned();
    // SAFETY: as above.
    unsafe { (*info).password_used = PASSWORD_USED_YES };
    Login { account, local: socket.and_then(|socket| socket.local_address()), answer }
}

/// The connection's socket, if it has one.
///
/// # Safety
///
/// `vio` must be the server's, and the socket not be used after the server's call has ended.
unsafe fn socket(vio: *mut Vio) -> Option<Socket> {
    let mut info = VioInfo { protocol: 0, socket: -1, room: [0; 8] };
    // SAFETY: `vio` is the server's.
    let Vio { info: describe, .. } = unsafe { *vio };
    // SAFETY: as above, and `info` has room for what the server knows of the connection.
    unsafe { describe(vio, &raw mut info) };
    let open = matches!(info.protocol, VIO_TCP | VIO_SOCKET) && info.socket >= 0;
    // SAFETY: the descriptor is the connection's, which the server keeps open while it waits for the verdict.
    open.then(|| unsafe { Socket::borrow(info.socket) })
}

/// Asks the client for its token. `None` when it gives none.
///
/// The question is an empty packet, which makes the server tell the client to switch to `mysql_clear_password`, even
/// one that has sent its answer with its first packet. So the token is on its way only from here on, and its head can
/// be looked at.
///
/// # Safety
///
/// `vio` must be the server's.
unsafe fn answer(vio: *mut Vio, socket: Option<&Socket>) -> Option<Answer> {
    // SAFETY: `vio` is the server's.
    let Vio { read_packet, write_packet, .. } = unsafe { *vio };
    // SAFETY: as above; behind the packet of length 0 there is a NUL for the server to look at.
    if unsafe { write_packet(vio, c"".as_ptr().cast(), 0) } != 0 {
        return None;
    }
    let transport = match socket {
        Some(socket) => socket.transport()?,
        None => Transport::Plain,
    };
    let mut packet = ptr::null_mut();
    // SAFETY: as above; `packet` is good for writes.
    let length = unsafe { read_packet(vio, &raw mut packet) };
    let length = usize::try_from(length).ok()?;
    if packet.is_null() {
        return None;
    }
    // SAFETY: the server has pointed `packet` at as many bytes as it says, good until its next call; they are copied.
    let packet = unsafe { slice::from_raw_parts(packet, length) }.to_vec();
    Some(Answer { transport, packet })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_refuses() {
        assert!(guarded(|| true));
        assert!(!guarded(|| false));
        assert!(!guarded(|| panic!("on purpose")));
    }
}

//! What a connection's socket tells: is it TLS, and at which address did it arrive.
//!
//! MariaDB and MySQL 8.0 do not tell a plugin whether a connection is encrypted. So the plugin makes the client send
//! something and looks at its first bytes on the wire without taking them.

use std::io::{self, ErrorKind};
use std::mem::ManuallyDrop;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::thread;
use std::time::{Duration, Instant};

/// How long a client may take to answer. The servers' own `connect_timeout` is 10 seconds by default.
const PATIENCE: Duration = Duration::from_secs(10);

/// How the client's answer came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// As a TLS record.
    Tls,
    /// In clear text.
    Plain,
}

/// A connection's socket, on loan from the server.
///
/// Never dropped as a stream: the server closes it.
pub(crate) struct Socket(ManuallyDrop<TcpStream>);

impl Socket {
    /// # Safety
    ///
    /// `fd` must be open, and stay so as long as the value is used.
    pub(crate) unsafe fn borrow(fd: RawFd) -> Self {
        // SAFETY: the caller warrants an open descriptor. `ManuallyDrop` keeps it from being closed here, so that
        // ownership stays with the server.
        Self(ManuallyDrop::new(unsafe { TcpStream::from_raw_fd(fd) }))
    }

    /// The address at which the connection arrived. `None` for a UNIX socket.
    pub(crate) fn local_address(&self) -> Option<SocketAddr> {
        self.0.local_addr().ok()
    }

    /// Waits for the client's answer and looks at its head. `None` when the client leaves or is too slow.
    ///
    /// A TLS record of application data starts `17 03 03`. The same bytes in clear text would be the head of a packet
    /// of 197,399 bytes, which is more than a token may have. Two bytes would not do: a token of 791 bytes in clear
    /// text starts `17 03` as well.
    pub(crate) fn transport(&self) -> Option<Transport> {
        let deadline = Instant::now() + PATIENCE;
        let mut head = [0; 3];
        while self.wait_readable(deadline) {
            match self.0.peek(&mut head) {
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                Ok(0) | Err(_) => return None,
                Ok(3) if head == [0x17, 0x03, 0x03] => return Some(Transport::Tls),
                // An alert, with which a client says good-bye that will not send clear text.
                Ok(3) if head == [0x15, 0x03, 0x03] => return None,
                Ok(3) => return Some(Transport::Plain),
                // The rest is on its way; the socket counts as readable, so this has to wait by itself.
                Ok(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
        None
    }

    /// Waits until there is something to read or the other side has closed; `false` after the deadline.
    ///
    /// Some servers use blocking sockets, some do not, and a time limit set on the socket would be the server's too.
    fn wait_readable(&self, deadline: Instant) -> bool {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // Rounded up: less than a millisecond would be none and spin.
            let millis = libc::c_int::try_from(left.as_millis()).unwrap_or(libc::c_int::MAX).saturating_add(1);
            // SAFETY: the pointer is to one `pollfd`, as the count says, and outlives the call.
            let ready = unsafe { libc::poll(&raw mut poll, 1, millis) };
            if ready > 0 {
                return true;
            }
            if ready < 0 && io::Error::last_os_error().kind() != ErrorKind::Interrupted {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// A client that sends some pieces, and the transport that the server takes them for.
    fn transport_of(pieces: &[&[u8]], stay: bool) -> Option<Transport> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_nodelay(true).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        thread::scope(|scope| {
            // SAFETY: `server` stays open until the scope has ended.
            let socket = unsafe { Socket::borrow(server.as_raw_fd()) };
            let transport = scope.spawn(move || socket.transport());
            for piece in pieces {
                client.write_all(piece).unwrap();
                thread::sleep(Duration::from_millis(5));
            }
            let client = stay.then_some(client);
            let transport = transport.join().unwrap();
            drop(client);
            let mut rest = Vec::new();
            server.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, pieces.concat(), "nothing may be taken away");
            transport
        })
    }

    #[test]
    fn a_tls_record_is_told_from_a_packet() {
        assert_eq!(transport_of(&[b"\x17\x03\x03\x01\x00..."], true), Some(Transport::Tls));
        assert_eq!(transport_of(&[b"\x50\x01\x00\x03host:3306/?Action"], true), Some(Transport::Plain));
    }

    #[test]
    fn a_packet_of_791_bytes_is_no_tls_record() {
        assert_eq!(transport_of(&[b"\x17\x03\x00\x03host:3306/?Action"], true), Some(Transport::Plain));
    }

    #[test]
    fn a_head_in_pieces_is_awaited() {
        assert_eq!(transport_of(&[b"\x17", b"\x03", b"\x03"], true), Some(Transport::Tls));
        assert_eq!(transport_of(&[b"\x17", b"\x03", b"\x00"], true), Some(Transport::Plain));
    }

    #[test]
    fn a_client_that_leaves_has_not_answered() {
        assert_eq!(transport_of(&[], false), None);
        assert_eq!(transport_of(&[b"\x15\x03\x03\x00\x02.."], true), None);
    }

    #[test]
    fn the_local_address_is_the_servers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        // SAFETY: `server` stays open until the test ends.
        let socket = unsafe { Socket::borrow(server.as_raw_fd()) };
        assert_eq!(socket.local_address(), listener.local_addr().ok());
    }
}

package forward

import (
	"encoding/binary"
	"fmt"
	"io"
)

// packetMax is the longest packet. A payload of that length or more continues in the next packet.
const packetMax = 1<<24 - 1

// greetingMax bounds what is read before the client has said anything; greetings are a hundred bytes.
const greetingMax = 64 << 10

const headerSize = 4

// header precedes each packet: the payload's length in three bytes and a number that counts within one exchange.
type header [headerSize]byte

func (h header) length() int { return int(h[0]) | int(h[1])<<8 | int(h[2])<<16 }
func (h header) seq() byte   { return h[3] }

func newHeader(length int, seq byte) header {
	return header{byte(length), byte(length >> 8), byte(length >> 16), seq}
}

func readHeader(r io.Reader) (header, error) {
	var h header
	_, err := io.ReadFull(r, h[:])
	return h, err
}

// readPacket reads one packet and not a byte more, so that TLS can begin right behind it.
func readPacket(r io.Reader, limit int) (header, []byte, error) {
	h, err := readHeader(r)
	if err != nil {
		return h, nil, err
	}
	if h.length() > limit {
		return h, nil, fmt.Errorf("a packet of %d bytes where at most %d make sense", h.length(), limit)
	}
	payload := make([]byte, h.length())
	_, err = io.ReadFull(r, payload)
	return h, payload, err
}

// writePacket writes in one piece: two would be two TLS records, or two segments on the wire.
func writePacket(w io.Writer, h header, payload []byte) error {
	_, err := w.Write(append(h[:], payload...))
	return err
}

// The capabilities that matter here.
const (
	capCompress        = 1 << 5
	capSSL             = 1 << 11
	capZstd            = 1 << 26
	capQueryAttributes = 1 << 27
)

// greeting is the server's first packet. Only its capabilities are of interest.
type greeting struct {
	payload   []byte
	low, high int // where the two halves of the capabilities are
}

func parseGreeting(payload []byte) (greeting, error) {
	g := greeting{payload: payload}
	if len(payload) == 0 || payload[0] != 10 {
		return g, fmt.Errorf("the server does not greet in protocol 10")
	}
	end := 1
	for end < len(payload) && payload[end] != 0 {
		end++
	}
	// version NUL, thread id 4, nonce 8, filler 1, capabilities 2, charset 1, status 2, capabilities 2
	g.low = end + 1 + 4 + 8 + 1
	g.high = g.low + 2 + 1 + 2
	if g.high+2 > len(payload) {
		return g, fmt.Errorf("the server's greeting is cut short")
	}
	return g, nil
}

func (g greeting) capabilities() uint32 {
	return uint32(binary.LittleEndian.Uint16(g.payload[g.low:])) | uint32(binary.LittleEndian.Uint16(g.payload[g.high:]))<<16
}

// withoutCompression takes back the server's offer to compress: compressed packets could not be followed.
func (g greeting) withoutCompression() {
	kept := g.capabilities() &^ (capCompress | capZstd)
	binary.LittleEndian.PutUint16(g.payload[g.low:], uint16(kept))
	binary.LittleEndian.PutUint16(g.payload[g.high:], uint16(kept>>16))
}

// asksForTLS says whether the client's first packet is an SSLRequest: a login's first 32 bytes and nothing behind.
func asksForTLS(payload []byte) bool {
	return len(payload) == 32 && binary.LittleEndian.Uint32(payload)&capSSL != 0
}

// loginCapabilities are those of the client's login packet.
func loginCapabilities(payload []byte) uint32 {
	if len(payload) < 4 {
		return 0
	}
	return binary.LittleEndian.Uint32(payload)
}

// errorPacket is the payload of an error. Before the login the client's protocol is not known, and no SQL state is sent.
func errorPacket(s ruleSpec, beforeLogin bool) []byte {
	p := []byte{0xff, byte(s.Status), byte(s.Status >> 8)}
	if !beforeLogin {
		state := s.SQLState
		if state == "" {
			state = "HY000"
		}
		p = append(append(p, '#'), state...)
	}
	return append(p, s.Body...)
}

func isError(payload []byte) bool { return len(payload) > 0 && payload[0] == 0xff }

// isProgress recognises MariaDB's reports about a long ALTER TABLE: they look like errors and come before the reply.
func isProgress(payload []byte) bool {
	return len(payload) >= 3 && payload[0] == 0xff && payload[1] == 0xff && payload[2] == 0xff
}

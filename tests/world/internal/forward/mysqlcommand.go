package forward

import (
	"encoding/binary"
	"strings"
)

// The commands that need attention; all others just have a reply.
const (
	comQuit         = 0x01
	comQuery        = 0x03
	comPrepare      = 0x16
	comExecute      = 0x17
	comLongData     = 0x18
	comCloseStmt    = 0x19
	comBulkExecute  = 0xfa
	lastPreparedID  = 0xffffffff // MariaDB: the statement prepared just before, whose id the client does not know yet
	infileRequested = 0xfb
)

// hasReply says whether the server answers a command.
func hasReply(kind byte) bool { return kind != comQuit && kind != comLongData && kind != comCloseStmt }

// statementID is that of the commands about a prepared statement, and of the answer to COM_STMT_PREPARE.
func statementID(payload []byte) (uint32, bool) {
	if len(payload) < 5 {
		return 0, false
	}
	return binary.LittleEndian.Uint32(payload[1:]), true
}

// queryText is the SQL of a COM_QUERY. With query attributes, parameters stand before it.
func queryText(payload []byte, capabilities uint32) string {
	rest := payload[1:]
	if capabilities&capQueryAttributes != 0 {
		if text, ok := skipAttributes(rest); ok {
			rest = text
		}
	}
	return oneLine(rest)
}

// oneLine makes of an SQL text the line that rules match: `.` shall match across it.
func oneLine(text []byte) string {
	return strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ", "\t", " ").Replace(strings.ToValidUTF8(string(text), "\ufffd"))
}

// skipAttributes answers what follows the query attributes: parameter count, set count, null bitmap, types with names, values.
func skipAttributes(b []byte) ([]byte, bool) {
	r := reader{b: b, ok: true}
	count := int(r.lenenc())
	r.lenenc()
	if count == 0 || !r.ok {
		return r.b, r.ok
	}
	if count > len(b) {
		return nil, false
	}
	nulls := r.take((count + 7) / 8)
	r.take(1)
	types := make([]byte, 0, count)
	for range count {
		if t := r.take(2); r.ok {
			types = append(types, t[0])
		}
		r.take(int(r.lenenc()))
	}
	for i, t := range types {
		if r.ok && nulls[i/8]&(1<<(i%8)) == 0 {
			r.value(t)
		}
	}
	return r.b, r.ok
}

// reader takes from a payload; after the first lack it is not ok and gives nothing.
type reader struct {
	b  []byte
	ok bool
}

func (r *reader) take(n int) []byte {
	if !r.ok || n < 0 || n > len(r.b) {
		r.ok = false
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

// lenenc is an integer whose first byte tells how long it is.
func (r *reader) lenenc() uint64 {
	first := r.take(1)
	if !r.ok {
		return 0
	}
	size := map[byte]int{0xfc: 2, 0xfd: 3, 0xfe: 8}[first[0]]
	if size == 0 {
		return uint64(first[0])
	}
	var wide [8]byte
	copy(wide[:], r.take(size))
	return binary.LittleEndian.Uint64(wide[:])
}

// value skips a parameter's value in the binary protocol.
func (r *reader) value(kind byte) {
	switch kind {
	case 0x06: // NULL
	case 0x01: // TINY
		r.take(1)
	case 0x02, 0x0d: // SHORT, YEAR
		r.take(2)
	case 0x03, 0x04, 0x09: // LONG, FLOAT, INT24
		r.take(4)
	case 0x05, 0x08: // DOUBLE, LONGLONG
		r.take(8)
	case 0x07, 0x0a, 0x0b, 0x0c: // TIMESTAMP, DATE, TIME, DATETIME
		if n := r.take(1); r.ok {
			r.take(int(n[0]))
		}
	default: // strings of all kinds
		r.take(int(r.lenenc()))
	}
}

package gateway

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
)

// Names answers what pods ask. There is nobody else to ask: a world's pods know its own names and no others.
type Names struct {
	Listen string `json:"listen"`
	// Fixed are names and their addresses.
	Fixed map[string]string `json:"fixed"`
	// Hosts is a hosts file, read anew at each question: a fail-over moves names in it.
	Hosts string `json:"hosts"`
	// Seen is what an address in the hosts file is to a pod. A line whose address is not here is not for pods.
	Seen map[string]string `json:"seen"`
}

func (n Names) serve(ctx context.Context) error {
	socket, err := new(net.ListenConfig).ListenPacket(ctx, "udp", n.Listen)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = socket.Close() })
	defer stop()
	// Longer questions do not fit a datagram.
	buffer := make([]byte, 1500)
	for {
		length, from, err := socket.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("read questions for names: %w", err)
		}
		if answer, err := answer(buffer[:length], n.lookUp); err == nil {
			_, _ = socket.WriteTo(answer, from)
		}
	}
}

// lookUp answers the address of a name, without its final dot, in lower case.
func (n Names) lookUp(name string) (net.IP, bool) {
	if address, known := n.Fixed[name]; known {
		return net.ParseIP(address), true
	}
	file, err := os.Open(n.Hosts)
	if err != nil {
		return nil, false
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		for _, alias := range fields[min(1, len(fields)):] {
			if seen, isForPods := n.Seen[fields[0]]; isForPods && strings.EqualFold(alias, name) {
				return net.ParseIP(seen), true
			}
		}
	}
	return nil, false
}

// What is used of RFC 1035.
const (
	headerLength  = 12
	labelLimit    = 63
	typeA         = 1
	classInternet = 1

	flagResponse      = 1 << 15
	flagAuthoritative = 1 << 10
	flagRecursion     = 1 << 8
	flagAvailable     = 1 << 7
	opcodeMask        = 0x7800
	noSuchName        = 3
	// lifetime of an answer in seconds: a name may move.
	lifetime = 1
)

var errNoQuestion = errors.New("this is no question for a name")

// answer makes the answer to a question. A name that is known but not of the type asked for has no addresses.
func answer(question []byte, lookUp func(string) (net.IP, bool)) ([]byte, error) {
	if len(question) < headerLength {
		return nil, errNoQuestion
	}
	flags := binary.BigEndian.Uint16(question[2:])
	if flags&(flagResponse|opcodeMask) != 0 || binary.BigEndian.Uint16(question[4:]) != 1 {
		return nil, errNoQuestion
	}
	name, end, err := readName(question, headerLength)
	if err != nil || len(question) < end+4 {
		return nil, errNoQuestion
	}
	kind, class := binary.BigEndian.Uint16(question[end:]), binary.BigEndian.Uint16(question[end+2:])
	end += 4

	address, known := lookUp(strings.ToLower(name))
	flags = flags&flagRecursion | flagResponse | flagAuthoritative | flagAvailable
	if !known {
		flags |= noSuchName
	}
	var data []byte
	if four := address.To4(); known && kind == typeA && class == classInternet && four != nil {
		// The name is that at the beginning of the question.
		data = []byte{0xc0, headerLength, 0, typeA, 0, classInternet, 0, 0, 0, lifetime, 0, 4}
		data = append(data, four...)
	}
	out := append([]byte(nil), question[:end]...)
	binary.BigEndian.PutUint16(out[2:], flags)
	binary.BigEndian.PutUint16(out[6:], uint16(min(1, len(data))))
	// Of what else the question brought, nothing is answered.
	binary.BigEndian.PutUint16(out[8:], 0)
	binary.BigEndian.PutUint16(out[10:], 0)
	return append(out, data...), nil
}

func readName(message []byte, at int) (name string, end int, err error) {
	var labels []string
	for at < len(message) {
		length := int(message[at])
		at++
		if length == 0 {
			return strings.Join(labels, "."), at, nil
		}
		if length > labelLimit || at+length > len(message) {
			break
		}
		labels = append(labels, string(message[at:at+length]))
		at += length
	}
	return "", 0, errNoQuestion
}

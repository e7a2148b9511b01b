package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"
)

// dialTimeout is how long a server may take to accept; on loopback it either does at once or not at all.
const dialTimeout = 10 * time.Second

// errDropped ends a request whose reply a rule loses; errAbandoned one whose client did not wait for it.
var (
	errDropped   = errors.New("the reply was dropped by a rule")
	errAbandoned = errors.New("the client left before the reply was released")
)

type connKey struct{}
type hitKey struct{}

// http serves an http or https target.
func (f *forwarder) http(p *point, l net.Listener) (func(), error) {
	transport := &http.Transport{
		DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext,
		// Compression is the client's business: the transport must not add or undo it.
		DisableCompression:  true,
		MaxIdleConnsPerHost: 1024,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: dialTimeout,
	}
	scheme := "http"
	if p.Kind == KindHTTPS {
		scheme = "https"
		server, err := p.serverTLS()
		if err != nil {
			return nil, err
		}
		if transport.TLSClientConfig, err = p.clientTLS(); err != nil {
			return nil, err
		}
		l = tls.NewListener(l, server)
	}
	lineOf := pathLine
	if p.Name == "aws" {
		lineOf = awsLine
	}
	quiet := log.New(io.Discard, "", 0)
	proxy := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1, // a watch's events must not wait for each other
		ErrorLog:      quiet,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = scheme, p.Upstream
			// Signatures cover the host, the path and the query as the client wrote them.
			r.Out.Host = r.In.Host
			r.Out.URL.RawQuery = r.In.URL.RawQuery
		},
		ModifyResponse: reply,
		ErrorHandler:   func(_ http.ResponseWriter, r *http.Request, err error) { f.broken(p, r, err) },
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	server := &http.Server{
		Handler:   &gateway{forwarder: f, point: p, proxy: proxy, lineOf: lineOf},
		ErrorLog:  quiet,
		Protocols: protocols,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if t, ok := c.(*tls.Conn); ok {
				c = t.NetConn()
			}
			return context.WithValue(ctx, connKey{}, c)
		},
	}
	f.stops = append(f.stops, func() { server.Close(); transport.CloseIdleConnections() })
	return func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			f.fail(p.Name, err)
		}
	}, nil
}

// broken ends the client's connection when there is no reply to give. A made-up 502 would be an answer that the real server
// never gives.
func (f *forwarder) broken(p *point, r *http.Request, err error) {
	hitOf(r).giveBack()
	if !errors.Is(err, errDropped) && !errors.Is(err, errAbandoned) && r.Context().Err() == nil {
		f.printf("%s: %v\n", p.Name, err)
	}
	panic(http.ErrAbortHandler)
}

// gateway decides over each request before the proxy passes it on.
type gateway struct {
	forwarder *forwarder
	point     *point
	proxy     http.Handler
	lineOf    func(*http.Request) (string, error)
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	line, err := g.lineOf(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if c, ok := r.Context().Value(connKey{}).(*conn); ok {
		c.begin(line)
		defer c.end()
	}
	w = &gatedWriter{ResponseWriter: w, gate: &g.point.gate, line: line, gone: r.Context().Done()}

	h := g.forwarder.begin(g.point, line)
	switch h.action() {
	case actionRefuse:
		h.fire()
		panic(http.ErrAbortHandler)
	case actionBlackhole:
		drain(r)
		h.fire()
		h.wait(r.Context().Done())
		panic(http.ErrAbortHandler)
	case actionAnswer:
		drain(r)
		h.fire()
		if !h.pause(r.Context().Done()) {
			panic(http.ErrAbortHandler)
		}
		answer(w, h.rule.spec)
	default:
		g.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), hitKey{}, h)))
	}
}

func hitOf(r *http.Request) *hit {
	h, _ := r.Context().Value(hitKey{}).(*hit)
	return h
}

// reply is called when the server's reply has begun to arrive, so its effect is done.
func reply(resp *http.Response) error {
	h := hitOf(resp.Request)
	if h == nil {
		return nil
	}
	h.fire()
	gone := resp.Request.Context().Done()
	switch h.action() {
	case actionHold, actionDelay:
		if !h.wait(gone) {
			return errAbandoned
		}
	case actionDrop:
		h.pause(gone)
		return errDropped
	}
	return nil
}

// answer speaks in the server's place.
func answer(w http.ResponseWriter, s ruleSpec) {
	switch {
	case strings.HasPrefix(s.Body, "<"):
		w.Header().Set("Content-Type", "text/xml")
	case strings.HasPrefix(s.Body, "{"):
		w.Header().Set("Content-Type", "application/json")
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	if s.RetryAfter != "" {
		w.Header().Set("Retry-After", s.RetryAfter)
	}
	w.WriteHeader(s.Status)
	io.WriteString(w, s.Body)
}

// drain reads the request to its end. Until then net/http does not notice that the client has left.
func drain(r *http.Request) { io.Copy(io.Discard, r.Body) }

// gatedWriter keeps the reply to one request back while that request is paused.
type gatedWriter struct {
	http.ResponseWriter
	gate *gate
	line string
	gone <-chan struct{}
}

// WriteHeader waits too: a watch that begins during a pause must not look established. When the client leaves, the writes that
// follow fail.
func (w *gatedWriter) WriteHeader(status int) {
	w.gate.passLine(w.line, w.gone)
	w.ResponseWriter.WriteHeader(status)
}

func (w *gatedWriter) Write(b []byte) (int, error) {
	if err := w.gate.passLine(w.line, w.gone); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets the proxy flush and upgrade.
func (w *gatedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

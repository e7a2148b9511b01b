package process

import (
	"context"
	"fmt"
	"net"
	"net/http"
)

// HTTPReady is a probe that succeeds when the URL answers 200.
func HTTPReady(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	}
}

// Listening is a probe that succeeds when something accepts connections at every address.
func Listening(addresses ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, address := range addresses {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err != nil {
				return err
			}
			_ = conn.Close()
		}
		return nil
	}
}

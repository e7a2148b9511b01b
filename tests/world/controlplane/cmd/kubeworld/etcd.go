//go:build !no_etcd

package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func init() {
	programs["etcd"] = func() int {
		etcdmain.Main(os.Args)
		return 0
	}
}

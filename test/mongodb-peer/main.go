// A server of MongoDB's protocol for tests: FerretDB over SQLite files in a folder.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:27017", "address and port to listen on")
	folder := flag.String("folder", ".", "folder of the database files")
	flag.Parse()
	if err := run(*listen, *folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(listen, folder string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Whoever started it holds its standard input open: it does not outlive them.
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	peer, err := ferretdb.New(&ferretdb.Config{
		Listener: ferretdb.ListenerConfig{TCP: listen},
		Handler:  "sqlite",
		// What was written outlives the death of the process, which is what the tests try, not that of the machine.
		SQLiteURL: "file:" + folder + "/?_pragma=synchronous(off)",
	})
	if err != nil {
		return err
	}
	return peer.Run(ctx)
}

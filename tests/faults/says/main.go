// Command says tells its clients for which architecture it was built, and on which host it runs.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
)

func answer(to http.ResponseWriter, from *http.Request) {
	host, _ := os.Hostname()
	switch {
	case from.Method == http.MethodPost:
		fmt.Fprintln(to, strings.TrimPrefix(from.URL.Path, "/"))
	case from.URL.Path == "/health":
		fmt.Fprintln(to, "ok")
	default:
		fmt.Fprintln(to, runtime.GOARCH, host)
	}
}

func main() {
	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: ":8000", Handler: http.HandlerFunc(answer)}
	down := make(chan struct{})
	go func() {
		<-ended.Done()
		server.Shutdown(context.Background())
		close(down)
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	<-down
}

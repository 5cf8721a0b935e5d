// Command shim stands before runc on machines that lack CAP_SYS_RESOURCE: it takes out of a container's
// description what runc could not set there, then becomes runc. It belongs to the lab alone.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const runc = "/usr/sbin/runc"

// value of an option in either spelling, "--name value" or "--name=value".
func option(args []string, names ...string) string {
	for i, arg := range args {
		for _, name := range names {
			if arg == name && i+1 < len(args) {
				return args[i+1]
			}
			if strings.HasPrefix(arg, name+"=") {
				return strings.TrimPrefix(arg, name+"=")
			}
		}
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func soften(process map[string]any) {
	if sets, ok := process["capabilities"].(map[string]any); ok {
		for name, set := range sets {
			kept := []any{}
			list, _ := set.([]any)
			for _, capability := range list {
				if capability != "CAP_SYS_RESOURCE" {
					kept = append(kept, capability)
				}
			}
			sets[name] = kept
		}
	}
	if score, ok := process["oomScoreAdj"].(json.Number); ok && strings.HasPrefix(score.String(), "-") {
		process["oomScoreAdj"] = 0
	}
	if _, ok := process["rlimits"]; ok {
		process["rlimits"] = []any{}
	}
}

func rewrite(file string, bundle bool) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	document := map[string]any{}
	if err := decoder.Decode(&document); err != nil {
		return err
	}
	process := document
	if bundle {
		process, _ = document["process"].(map[string]any)
	}
	if process != nil {
		soften(process)
	}
	if text, err = json.Marshal(document); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

func main() {
	args := os.Args[1:]
	var err error
	for i, arg := range args {
		rest := args[i+1:]
		if arg == "create" || arg == "run" {
			bundle := option(rest, "--bundle", "-b")
			err = rewrite(filepath.Join(bundle, "config.json"), true)
			break
		}
		if arg == "exec" {
			if file := option(rest, "--process", "-p"); file != "" {
				err = rewrite(file, false)
			}
			break
		}
	}
	if err == nil {
		program := runc
		if self, failed := os.Executable(); failed == nil {
			if beside := filepath.Join(filepath.Dir(self), "runc"); exists(beside) {
				program = beside
			}
		}
		err = syscall.Exec(program, append([]string{program}, args...), os.Environ())
	}
	fmt.Fprintln(os.Stderr, "shim:", err)
	os.Exit(1)
}

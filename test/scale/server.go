package scale

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Server is the processes of a control plane that `lab up --state` started.
type Server struct {
	API, Etcd int    // process ids
	EtcdURL   string // without TLS
}

// Running finds the processes that keep their files in a state directory, on Linux.
func Running(state string) (Server, error) {
	var s Server
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return s, err
	}
	for _, file := range processes {
		data, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(data, []byte("="+state+"/")) {
			continue // it has ended, or is another's
		}
		args := strings.Split(string(data), "\x00")
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			continue // not the folder of a process
		}
		switch filepath.Base(args[0]) {
		case "etcd":
			s.Etcd = pid
		case "kube-apiserver":
			s.API = pid
			s.EtcdURL = value(args, "--etcd-servers=")
		}
	}
	if s.API == 0 || s.Etcd == 0 || s.EtcdURL == "" {
		return s, fmt.Errorf("no etcd and kube-apiserver run with their files in %s", state)
	}
	return s, nil
}

func value(args []string, flag string) string {
	for _, arg := range args {
		if v, ok := strings.CutPrefix(arg, flag); ok {
			return v
		}
	}
	return ""
}

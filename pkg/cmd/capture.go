package cmd

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-netdoctor/netdoctor/pkg/anonymize"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

type captureCommand struct {
	*cluster
	file      string
	depth     string
	anonymous bool
	reading
}

func newCapture(c *cluster) *cobra.Command {
	o := &captureCommand{cluster: c, depth: facts.Logs.String()}
	cmd := &cobra.Command{
		Use:   "capture",
		Short: "Save what the doctor sees, redacted, to be looked at elsewhere",
		Long: `Save everything that the doctor reads as a bundle, for "check --from". Secrets are never read, but the one that --image-pull-secret names, which is in no bundle. ConfigMaps are those of the
network stack alone; managedFields, copies of objects in annotations, and values of environment variables but switches such as true are left out.
What has the form or the name of a secret (tokens, passwords, keys, certificates) is cut out of objects, logs and files of nodes. A secret that has
neither stays: look through the bundle before you hand it on.

With --anonymize names and addresses are replaced by pseudonyms: of objects, labels, hosts and domains, wherever they stand, logs and files
of nodes included. "check --from" finds the same in it, but for what is told by how two names are spelt. Words that Kubernetes or network plugins use stay.`,
		Example: `  kubectl netdoctor capture -f incident.tar.gz
  kubectl netdoctor capture --depth host --anonymize   # for somebody who must not know the names`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: o.run,
	}
	cmd.Flags().StringVarP(&o.file, "file", "f", "", "where to: a name that ends in .tar.gz or .tgz, or a directory to make (default netdoctor-TIME.tar.gz)")
	cmd.Flags().BoolVar(&o.anonymous, "anonymize", false, "replace names and addresses by pseudonyms, in objects, logs and files of nodes; the same name is always the same, in this bundle alone")
	addDepth(cmd, &o.depth)
	o.reading.addFlags(cmd.Flags())
	return cmd
}

func (o *captureCommand) run(cmd *cobra.Command, _ []string) error {
	file := cmp.Or(o.file, "netdoctor-"+o.env.Now().UTC().Format("20060102-150405")+".tar.gz")
	if _, err := os.Lstat(file); err == nil {
		return usage("-f %s: it exists already", file)
	}
	if err := o.valid(); err != nil {
		return err
	}
	depth, err := facts.ParseDepth(o.depth)
	if err != nil {
		return usage("--depth %s: %w", o.depth, err)
	}
	record := new(facts.Recorder)
	s, err := o.live(cmd.Context(), all.Checks(), depth, o.reading, record)
	if err != nil {
		return err
	}
	files := func(write writeFile) error { return record.WriteTo(s, write) }
	if o.anonymous {
		files = func(write writeFile) error { return anonymized(record, s, write) }
	}
	if err := writeBundle(file, s.Taken, files); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	fmt.Fprintln(o.env.Out, file)
	if o.anonymous {
		fmt.Fprint(o.env.ErrOut, whatStays)
	}
	for _, src := range facts.Sources() {
		if why := s.Missing(src); why != "" && src.Depth <= depth {
			fmt.Fprintf(o.env.ErrOut, "not in it: %s (%s)\n", src, report.Clean(why))
		}
	}
	return nil
}

// whatStays is told of an anonymised bundle: nobody should think that there is nothing in it.
const whatStays = `anonymized: names, host and domain names, IP and MAC addresses and ids are pseudonyms, whose key was not kept
readable: words of Kubernetes, of network plugins and of plain English that nothing is called by; numbers, ports, times, versions;
loopback, link-local and well-known public addresses, and which addresses share a subnet: look through it before you hand it on
`

// anonymized hands over the files of a bundle with pseudonyms in them, of a key that is
// forgotten.
func anonymized(record *facts.Recorder, s *facts.Snapshot, write writeFile) error {
	a, err := anonymize.New(rand.Reader)
	if err != nil {
		return err
	}
	entries, err := record.Entries(s)
	if err != nil {
		return err
	}
	return a.Bundle(entries, write)
}

// writeFile writes one file of a bundle.
type writeFile = func(name string, size int64, body io.Reader) error

// writeBundle writes a directory or an archive. Nothing is left of one that fails.
func writeBundle(name string, taken time.Time, files func(writeFile) error) error {
	if strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tgz") {
		return writeArchive(name, taken, files)
	}
	err := files(func(entry string, _ int64, body io.Reader) error {
		path := filepath.Join(name, filepath.FromSlash(entry))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, body)
		return errors.Join(err, f.Close())
	})
	if err != nil {
		return errors.Join(err, os.RemoveAll(name))
	}
	return nil
}

func writeArchive(name string, taken time.Time, files func(writeFile) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	zipped := gzip.NewWriter(f)
	archive := tar.NewWriter(zipped)
	err = files(func(entry string, size int64, body io.Reader) error {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: entry, Size: size, Mode: 0o600, ModTime: taken}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		_, err := io.Copy(archive, body)
		return err
	})
	if err = errors.Join(err, archive.Close(), zipped.Close(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

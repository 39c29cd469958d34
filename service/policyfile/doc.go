// Package policyfile reads policy files. A policy is written in YAML or JSON; the package policy says what may stand in it, and
// this package turns YAML into the tree that policy reads, so that every mistake is reported with file, line and column
// whatever the language:
//
//	p, err := policyfile.Load("stint.yaml")
//	if err != nil {
//		return err // one line for each mistake; the policy in force stays as it is
//	}
//	for _, w := range p.Warnings {
//		log.Print(w.Error())
//	}
//
// [Default] is the built-in policy, [DefaultText] the same as a file with comments to start from.
package policyfile

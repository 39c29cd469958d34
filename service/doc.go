// Package service is the module of everything that serves: the program stint and the rooms it is made of.
//
//	stores/      opens a store by its address
//	policyfile/  reads the policy file, YAML or JSON, and says what is wrong with it and where
//	proxy/       hands requests on to an upstream
//	server/      listens, keeps bounds on every connection, and stops without dropping requests
//	load/        the hungry client: sends at a fixed rate and judges whether a limit held
//	cmd/stint/   the program; one file a command
//
// None of them decides anything about limits: they translate, and ask the packages stint, policy and httplimit.
package service

package cluster

import (
	"fmt"
	"os"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// writeAccounts makes an operator with two accounts and a user in each, writes the users'
// credentials, and returns the part of nats-server.conf that says so. The keys of operator and
// accounts are not kept: no user can be added.
func writeAccounts(user, system string) (string, error) {
	operator, err := newSigner(nkeys.CreateOperator)
	if err != nil {
		return "", err
	}
	receiver, err := operator.account("receiver", jwt.JetStreamLimits{
		MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit,
	})
	if err != nil {
		return "", err
	}
	sys, err := operator.account("system", jwt.JetStreamLimits{})
	if err != nil {
		return "", err
	}
	claims := jwt.NewOperatorClaims(operator.public)
	claims.Name, claims.SystemAccount = "operator", sys.public
	token, err := claims.Encode(operator.pair)
	if err != nil {
		return "", err
	}
	for file, account := range map[string]signer{user: receiver, system: sys} {
		if err := account.writeUser(file); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload {\n  %s: %s\n  %s: %s\n}\n",
		token, sys.public, receiver.public, receiver.token, sys.public, sys.token), nil
}

// signer is an operator or an account.
type signer struct {
	pair          nkeys.KeyPair
	public, token string
}

func newSigner(create func() (nkeys.KeyPair, error)) (signer, error) {
	pair, err := create()
	if err != nil {
		return signer{}, err
	}
	public, err := pair.PublicKey()
	return signer{pair: pair, public: public}, err
}

func (s signer) account(name string, limits jwt.JetStreamLimits) (signer, error) {
	account, err := newSigner(nkeys.CreateAccount)
	if err != nil {
		return account, err
	}
	claims := jwt.NewAccountClaims(account.public)
	claims.Name, claims.Limits.JetStreamLimits = name, limits
	account.token, err = claims.Encode(s.pair)
	return account, err
}

// writeUser makes a user who may do everything in the account.
func (s signer) writeUser(file string) error {
	user, err := newSigner(nkeys.CreateUser)
	if err != nil {
		return err
	}
	token, err := jwt.NewUserClaims(user.public).Encode(s.pair)
	if err != nil {
		return err
	}
	seed, err := user.pair.Seed()
	if err != nil {
		return err
	}
	text, err := jwt.FormatUserConfig(token, seed)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

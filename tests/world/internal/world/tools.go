package world

import (
	"context"
	"os"
	"path/filepath"
	"sync"

	"iamdb.dev/world/internal/aws"
	"iamdb.dev/world/internal/command"
	"iamdb.dev/world/internal/controlplane"
	"iamdb.dev/world/internal/database"
	"iamdb.dev/world/internal/host"
	"iamdb.dev/world/internal/layout"
	"iamdb.dev/world/internal/tasks"
)

// tools are the programs and data that a world is made of, none of which belongs to one world.
type tools struct {
	programs controlplane.Programs
	// software is by instance, templates (data directories) by the software's name.
	software  map[string]database.Software
	templates map[string]string
	pluginDir string
	python    string
}

func (t tools) client(i layout.Instance) string { return t.software[i.Identifier].Client }

// prepare fetches and builds what is not in the cache, side by side: the downloads of one thing fill the time in which
// another is compiled.
func (p *Project) prepare(ctx context.Context, withOperator bool) (tools, error) {
	t := tools{software: map[string]database.Software{}, templates: map[string]string{}}
	var mu sync.Mutex
	install := func(ctx context.Context, s database.Software, instances ...layout.Instance) error {
		return p.Report.Work("template of "+s.Name, func() error {
			path, err := s.Template(ctx, p.Cache)
			mu.Lock()
			defer mu.Unlock()
			t.templates[s.Name] = path
			for _, i := range instances {
				t.software[i.Identifier] = s
			}
			return err
		})
	}
	err := tasks.All(ctx,
		func(ctx context.Context) error {
			return p.Report.Work("control plane built", func() (err error) {
				builder := controlplane.Builder{Root: p.Root, Cache: p.Cache, Assets: os.Getenv("KUBEBUILDER_ASSETS")}
				t.programs, err = builder.Build(ctx)
				return err
			})
		},
		func(ctx context.Context) error {
			// One after the other: MySQL, too, needs a library of Debian's before its template can be made.
			if err := p.installPackages(ctx, database.DebianNeeds()); err != nil {
				return err
			}
			return tasks.All(ctx,
				func(ctx context.Context) error {
					mariadb, err := database.MariaDB(ctx)
					if err != nil {
						return err
					}
					return install(ctx, mariadb, layout.Billing)
				},
				func(ctx context.Context) error {
					var mysql string
					err := p.Report.Work("MySQL fetched", func() (err error) {
						mysql, err = database.FetchMySQL(ctx, p.Cache)
						return err
					})
					if err != nil {
						return err
					}
					return tasks.All(ctx,
						func(ctx context.Context) error {
							orders, err := database.MySQL(ctx, mysql)
							if err != nil {
								return err
							}
							return install(ctx, orders, layout.Orders)
						},
						func(ctx context.Context) error { return install(ctx, database.Folding(mysql), layout.Catalog) },
						func(ctx context.Context) error { return install(ctx, database.Aurora(mysql), layout.Ledger.Members...) },
					)
				},
			)
		},
		func(ctx context.Context) error {
			return p.Report.Work("authentication plugin built", func() (err error) {
				t.pluginDir, err = database.BuildPlugin(ctx, p.Cache, p.Root)
				return err
			})
		},
		func(ctx context.Context) error {
			return p.Report.Work("Python environment of the AWS launcher", func() (err error) {
				t.python, err = aws.Python(ctx, p.Cache, p.Root)
				return err
			})
		},
		func(ctx context.Context) error {
			if !withOperator {
				return nil
			}
			// Always: cargo knows whether a binary that is there is of these sources, and several clones may share it.
			return p.buildOperator(ctx)
		},
	)
	return t, err
}

func (p *Project) installPackages(ctx context.Context, needs []host.Need) error {
	missing := host.Missing(needs)
	if len(missing) == 0 {
		return nil
	}
	return p.Report.Work("Debian packages installed", func() error {
		return host.Install(ctx, missing, p.Cache.Path("debian.log"))
	})
}

// operatorBinary is where cargo puts the debug build.
func (p *Project) operatorBinary() string {
	target := os.Getenv("CARGO_TARGET_DIR")
	if target == "" {
		target = "target"
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(p.Root, target)
	}
	return filepath.Join(target, "debug", "iamdb")
}

func (p *Project) buildOperator(ctx context.Context) error {
	return p.Report.Work("operator built", func() error {
		return command.Command{
			What: "build the operator", Args: []string{"cargo", "build", "--locked", "--bin", "iamdb"}, Dir: p.Root,
			Log: filepath.Join(p.Root, "target", "world-build.log"),
		}.Run(ctx)
	})
}

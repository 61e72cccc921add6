"""Go back to a backup or to a release. `python rollback_migration.py --help`; docs/BACKUP_RESTORE.md says the rest."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    sys.argv.insert(1, "rollback_migration")
    from manage import main

    main()

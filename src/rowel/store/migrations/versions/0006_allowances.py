"""What many processes have taken of the limits of models."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "allowances",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("requests_at", sa.BigInteger(), nullable=False),
        sa.Column("tokens_at", sa.BigInteger(), nullable=False),
        sa.Column("held_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_allowances")),
    )


def downgrade() -> None:
    raise NotImplementedError("Rowel's data is not taken back to older revisions; restore a backup.")

from django.db import migrations

COMPANIES = ("Alpha", "Bravo", "Charlie", "Delta", "HQSCOY")
PLATOONS = (
    "1st Platoon",
    "2nd Platoon",
    "Colors",
    "Guidon Bearer",
    "Medics",
    "Military Police",
    "Band",
    "Office Personnel",
    "Small Unit Tactics",
    "Excess Officer",
)


def fill(apps, schema_editor):
    """The unit's lists as they stood when the system began; administrators extend them."""
    for model, names in (("Company", COMPANIES), ("Platoon", PLATOONS)):
        table = apps.get_model("cadets", model)
        table.objects.bulk_create(table(name=name, position=10 * place) for place, name in enumerate(names, start=1))


class Migration(migrations.Migration):
    dependencies = [("cadets", "0001_initial")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]

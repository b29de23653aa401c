from wa_admin import create_app

app = create_app()
